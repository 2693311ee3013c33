"""Both languages say the same things."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ems_dash.i18n import LANGS, catalogue, label, meaning, negotiate, t
from ems_dash.i18n.meanings import translations
from engine.devices.profile import MODBUS_PROFILES, DeviceProfile
from engine.domain.control import EngineState
from engine.domain.strategy import ChoiceReason
from engine.history.dictionary import tables
from engine.optimization.explanation import ActionKind, ReasonCode

ROOT = Path(__file__).resolve().parents[2]


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def test_catalogues_have_the_same_keys_and_placeholders() -> None:
    german, english = catalogue("de"), catalogue("en")
    assert german.keys() == english.keys()
    for key, text in german.items():
        assert placeholders(text) == placeholders(english[key]), key
        assert text.strip()
        assert english[key].strip()


def test_every_key_in_the_code_is_in_the_catalogue() -> None:
    known = catalogue("de")
    for folder in ("ems_dash", "pages"):
        for path in (ROOT / folder).rglob("*.py"):
            source = path.read_text(encoding="utf-8")
            for key in re.findall(r'\bt\(\s*"([a-z_.]+)"', source):
                assert key in known, f"{path.name}: {key}"


@pytest.mark.parametrize("lang", LANGS)
def test_words_of_the_engine_are_translated(lang: str) -> None:
    known = catalogue(lang)
    for state in EngineState:
        assert f"state.{state.value}" in known
    for kind in ActionKind:
        assert f"action.{kind.value}" in known
    for reason in ChoiceReason:
        assert f"strategy_reason.{reason.value}" in known
    for code in ReasonCode:
        assert f"why.{code.value}" in known


def test_unknown_words_are_shown_as_they_are() -> None:
    assert label("binding", "nameplate", "de") == "Nennleistung"
    assert label("binding", "fuse_too_hot", "de") == "fuse too hot"


def test_unknown_language_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match="Use one of de, en"):
        t("app.name", "fr")


@pytest.mark.parametrize(
    ("cookie", "accepted", "expected"),
    [
        ("en", ["de"], "en"),
        ("fr", ["en-GB", "de"], "en"),
        (None, ["fr", "en-US"], "en"),
        (None, ["fr"], "de"),
        (None, [], "de"),
    ],
)
def test_language_is_cookie_then_browser_then_german(
    cookie: str | None, accepted: list[str], expected: str
) -> None:
    assert negotiate(cookie, accepted) == expected


def said_by(profile: DeviceProfile) -> set[str]:
    """Every English text of a built-in profile that a page shows."""
    signals = profile.sunspec.signals if profile.sunspec is not None else {}
    described: list[Any] = [
        *profile.registers.values(),
        *profile.derived.values(),
        *signals.values(),
    ]
    codes = {text for register in profile.registers.values() for text in register.values.values()}
    return {part.description for part in described} | codes | {profile.source, *profile.notes}


def described() -> set[str]:
    """Every description of a column of the history and everything a built-in profile says."""
    columns = {column.meaning for table in tables().values() for column in table.columns}
    return columns.union(*map(said_by, MODBUS_PROFILES.values())) - {""}


def test_every_column_and_everything_of_a_profile_is_described_in_german() -> None:
    assert [text for text in described() if meaning(text, "de")[1] != "de"] == []


def test_english_descriptions_stay_as_the_engine_says_them() -> None:
    assert [text for text in described() if meaning(text, "en") != (text, "en")] == []


def test_no_description_is_translated_that_nothing_has() -> None:
    said = described() | {text.split(": ", 1)[-1] for text in described()}
    assert translations("de").keys() - said == set()


def test_unknown_descriptions_stay_english_and_say_so() -> None:
    assert meaning("Colour of the cabinet", "de") == ("Colour of the cabinet", "en")
    assert meaning("soc_percent: highest value", "de") == ("soc_percent: höchster Wert", "de")
