"""The topics of one site."""

from __future__ import annotations

from dataclasses import dataclass

ONLINE = "online"
OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Topics:
    """Topic names below ``<base_topic>/<site_id>``."""

    base_topic: str
    site_id: str

    @property
    def root(self) -> str:
        """Common beginning of all topics of the site."""
        return f"{self.base_topic}/{self.site_id}"

    @property
    def status(self) -> str:
        """``online`` or ``offline`` (Last Will), retained."""
        return f"{self.root}/status"

    @property
    def telemetry(self) -> str:
        """Values of every control cycle, not retained."""
        return f"{self.root}/telemetry"

    def state(self, name: str) -> str:
        """Return the topic of a retained state: alarms, plan, setpoint, strategy or limits."""
        return f"{self.root}/{name}"

    def command(self, name: str) -> str:
        """Return the topic that takes command `name`."""
        return f"{self.root}/set/{name}"

    def result(self, name: str) -> str:
        """Return the topic that answers command `name`."""
        return f"{self.command(name)}/result"

    def command_in(self, topic: str) -> str | None:
        """Return the name of the command that `topic` takes, or None for any other topic."""
        prefix = f"{self.root}/set/"
        name = topic.removeprefix(prefix)
        return name if topic.startswith(prefix) and "/" not in name else None
