"""What the doctor says about one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one thing.

    Attributes:
        name: What was looked at.
        state: ``"failed"`` keeps the program from working; ``"warning"`` does not.
        detail: What was found, one sentence.
        remedy: How to mend it; empty when there is nothing to mend.
    """

    name: str
    state: State
    detail: str
    remedy: str = ""
