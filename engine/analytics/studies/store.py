"""Outcomes of units in a folder, each in a file of its own, so that a study can go on.

A file is written under a temporary name and renamed, and holds the hash of what it says: one
that is torn, altered or of another format is as good as missing, and its unit is done again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from engine.analytics.studies.units import Outcome, decode, encode
from engine.domain.errors import EmsError

FORMAT = 1

_log = logging.getLogger(__name__)


def study_key(unit_keys: Sequence[str]) -> str:
    """Return the name of the study of these units, whatever their order."""
    return hashlib.sha256("\n".join(sorted(set(unit_keys))).encode()).hexdigest()[:16]


class UnitStore:
    """The outcomes of one study.

    Args:
        folder: Where they are; made at the first `put`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def of_study(cls, root: Path, unit_keys: Sequence[str]) -> UnitStore:
        """Return the store of a study below `root`, which is ``data/studies``."""
        return cls(root / study_key(unit_keys))

    @property
    def folder(self) -> Path:
        """Where the outcomes are."""
        return self._folder

    def get(self, key: str) -> Outcome | None:
        """Return what is kept of a unit; None when there is nothing that can be relied on."""
        path = self._path(key)
        try:
            document = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as exc:
            _log.warning("%s cannot be read (%s); the unit is done again", path.name, exc)
            return None
        try:
            body = document["body"]
            if document["format"] != FORMAT or document["sha256"] != _hash(body):
                raise ValueError("its content is not what was written")
            return decode(body)
        except (KeyError, TypeError, ValueError, EmsError) as exc:
            _log.warning("%s is of no use (%s); the unit is done again", path.name, exc)
            return None

    def put(self, key: str, outcome: Outcome) -> None:
        """Keep the outcome of a unit.

        Raises:
            OSError: It cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        body = encode(outcome)
        document = {"format": FORMAT, "sha256": _hash(body), "body": body}
        path = self._path(key)
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps(document), encoding="utf-8")
        os.replace(part, path)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"


def _hash(body: object) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
