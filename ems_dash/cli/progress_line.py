"""How far a long command is, for whoever waits for it."""

from __future__ import annotations

import sys
import time

_REDRAW_S = 0.5


class ProgressLine:
    """How far the work is, on stderr: a moving line on a terminal, else one per policy."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._label = ""
        self._told_s = 0.0

    def progress(self, label: str, share: float) -> None:
        """Show that the share 0..1 of the work named `label` is done."""
        now = time.monotonic()
        if self._terminal and (now - self._told_s >= _REDRAW_S or share >= 1.0):
            self._told_s = now
            print(f"\r{label}: {100 * share:3.0f} %\x1b[K", end="", file=sys.stderr, flush=True)
        elif not self._terminal and label != self._label:
            print(f"{label} ...", file=sys.stderr, flush=True)
        self._label = label

    def end(self) -> None:
        """Leave the line for what is printed next."""
        if self._terminal and self._label:
            print(file=sys.stderr)
