"""Which site the running thread works for, so that the log can say it.

Only an installation with several sites says so; with one there is nothing to tell apart.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_SITE: Final[ContextVar[str | None]] = ContextVar("ems_site", default=None)


def current_site() -> str | None:
    """Return the id of the site this thread works for; None for none or the only one."""
    return _SITE.get()


def work_for(site_id: str | None) -> None:
    """Let this thread work for a site, or for none, until it is told otherwise."""
    _SITE.set(site_id)


@contextmanager
def working_for(site_id: str | None) -> Iterator[None]:
    """Let this thread work for a site, or for none, within the block."""
    token = _SITE.set(site_id)
    try:
        yield
    finally:
        _SITE.reset(token)


class SiteThread(threading.Thread):
    """A thread that works for the site of the one that starts it."""

    _site: str | None = None

    def start(self) -> None:
        """Start it; see `threading.Thread.start`."""
        self._site = current_site()
        super().start()

    def run(self) -> None:
        """Do the work; nothing else of what the starting thread knows comes along."""
        work_for(self._site)
        super().run()
