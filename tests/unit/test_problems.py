"""The rules of the configuration are said in German beside the fields they are about."""

from __future__ import annotations

from pathlib import Path

from ems_dash.i18n.problems import in_german
from engine.config import schema
from engine.devices import profile_rules
from tests.support.spoken import english_left, sentences_in


def test_every_rule_of_the_configuration_has_german_words() -> None:
    english = {}
    for path in Path(schema.__file__).parent.glob("*.py"):
        for _, parts in sentences_in(path):
            # A rule is written as field|what is wrong|remedy.
            ways = ["".join(gap if p is None else p for p in parts) for gap in ("7", "x_1")]
            if ways[0].count("|") != 2:
                continue
            messages = [way.split("|")[1] for way in ways]
            german = [in_german(message) for message in messages]
            if not any(german):
                english[messages[0]] = {"everything"}
            elif german[0] is not None:
                english[messages[0]] = english_left(messages[0], german[0]) - NAMES
    assert {message: left for message, left in english.items() if left} == {}


def test_registers_that_cannot_be_are_told_in_german() -> None:
    english = {}
    for path in Path(profile_rules.__file__).parent.glob("*.py"):
        if path.stem not in {"registers", "fields"}:
            continue
        for _, parts in sentences_in(path):
            text = "".join("7" if part is None else part for part in parts)
            message = f"profile hithium: {text} (got 0)."
            # What begins with a capital is a remedy, which the German says itself.
            if text[0].islower() and "(got" not in text and in_german(message) is None:
                english[text] = message
    assert english == {}


NAMES = frozenset({"broker", "dash", "demo", "ems", "host", "postgresql"})
"""Words of both languages, and names of keys."""
