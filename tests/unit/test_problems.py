"""The rules of the configuration are said in German beside the fields they are about."""

from __future__ import annotations

from pathlib import Path

from ems_dash.i18n.problems import in_german
from engine.config import schema
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


NAMES = frozenset({"broker", "dash", "demo", "ems", "host", "postgresql"})
"""Words of both languages, and names of keys."""
