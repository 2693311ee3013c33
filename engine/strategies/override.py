"""A strategy chosen by hand, kept in a file so that a restart does not forget it."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.domain.errors import ConfigError
from engine.domain.strategy import StrategyKey

_log = logging.getLogger(__name__)

_VERSION = 1


@dataclass(frozen=True, slots=True)
class ManualChoice:
    """A strategy chosen by hand.

    Attributes:
        strategy: The strategy.
        until: When the choice ends and the automatic one returns, UTC; None: it holds until
            it is changed, which only the configuration may ask for.
        chosen_at: When it was made, UTC; None for one from the configuration.
        chosen_by: User name, or None.

    Raises:
        ConfigError: A time has no time zone, or the choice would end before it began.
    """

    strategy: StrategyKey
    until: datetime | None = None
    chosen_at: datetime | None = None
    chosen_by: str | None = None

    def __post_init__(self) -> None:
        for name in ("until", "chosen_at"):
            at: datetime | None = getattr(self, name)
            if at is None:
                continue
            if at.tzinfo is None:
                raise ConfigError(
                    f"{at!r} has no time zone.",
                    field=f"strategy.{name}",
                    value=at,
                    hint="Give a time with its offset, for example 2026-05-01T18:00:00+02:00.",
                )
            object.__setattr__(self, name, at.astimezone(UTC))
        if self.until is not None and self.chosen_at is not None and self.until <= self.chosen_at:
            raise ConfigError(
                f"the manual choice would end at {self.until.isoformat()}, which has passed.",
                field="strategy.until",
                value=self.until.isoformat(),
                hint="Give an end in the future.",
            )

    def ended(self, now: datetime) -> bool:
        """Return True from the end of the choice on."""
        return self.until is not None and now >= self.until


@dataclass(frozen=True, slots=True)
class StoredOverride:
    """What the file says.

    Attributes:
        choice: The manual choice in force, or None.
        problem: Why a file that exists could not be used, in words; None when all is well.
        expired: True when the file held a choice that has ended.
    """

    choice: ManualChoice | None
    problem: str | None = None
    expired: bool = False


class OverrideStore:
    """Keeps one site's manual choice in a JSON file. One thread at a time writes.

    Args:
        path: The file, in the data folder; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, now: datetime) -> StoredOverride:
        """Return the choice in force at `now`.

        A choice that has ended is removed from disk. A file that cannot be read is reported,
        logged and left where it is: the site plans automatically, and the next `save` or
        `clear` replaces it.
        """
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return StoredOverride(None)
        except (OSError, UnicodeDecodeError) as error:
            return self._unusable(f"it cannot be read ({error}).")
        try:
            choice = _parse(json.loads(text))
        except (ValueError, ConfigError) as error:
            return self._unusable(f"it is damaged ({error}).")
        if choice.ended(now):
            self.clear()
            return StoredOverride(None, expired=True)
        return StoredOverride(choice)

    def save(self, choice: ManualChoice) -> None:
        """Write the choice so that a power cut leaves the old file or the new one.

        Raises:
            ConfigError: The choice has no end.
            OSError: The file could not be written; the old one stands.
        """
        if choice.until is None:
            raise ConfigError(
                "a manual choice needs an end.",
                field="strategy.until",
                value=None,
                hint="Give the time it ends. For a lasting choice set strategies.selection_mode: "
                "manual in the configuration.",
            )
        document = {
            "version": _VERSION,
            "strategy": choice.strategy.value,
            "until": choice.until.isoformat(),
            "chosen_at": choice.chosen_at.isoformat() if choice.chosen_at else None,
            "chosen_by": choice.chosen_by,
        }
        temporary = self._path.with_name(self._path.name + ".tmp")
        try:
            with temporary.open("w", encoding="utf-8") as file:
                json.dump(document, file, indent=2)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(self._path.parent)

    def clear(self) -> None:
        """Forget the choice: the site plans automatically."""
        self._path.unlink(missing_ok=True)
        _sync_folder(self._path.parent)

    def _unusable(self, what: str) -> StoredOverride:
        problem = f"The stored manual strategy {self._path.name} is ignored: {what}"
        _log.warning("%s The strategy is chosen automatically.", problem)
        return StoredOverride(None, problem=problem)


def choice_in_force(
    configured: StrategyKey | None, stored: ManualChoice | None, now: datetime
) -> ManualChoice | None:
    """Return the manual choice that counts at `now`; None for automatic.

    Args:
        configured: The strategy of ``selection_mode: manual``; None for ``auto``.
        stored: A choice made while running; while it lasts it outranks the configuration.
        now: When.
    """
    if stored is not None and not stored.ended(now):
        return stored
    return ManualChoice(configured) if configured is not None else None


def _parse(document: Any) -> ManualChoice:
    if not isinstance(document, dict) or document.get("version") != _VERSION:
        raise ValueError(f"expected a document of version {_VERSION}")
    until, chosen_at = document.get("until"), document.get("chosen_at")
    by = document.get("chosen_by")
    if not isinstance(until, str) or not (chosen_at is None or isinstance(chosen_at, str)):
        raise ValueError("until and chosen_at must be times")
    return ManualChoice(
        strategy=StrategyKey(str(document.get("strategy"))),
        until=datetime.fromisoformat(until),
        chosen_at=datetime.fromisoformat(chosen_at) if chosen_at else None,
        chosen_by=str(by) if by is not None else None,
    )


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
