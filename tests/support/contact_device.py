"""A module of digital inputs behind real Modbus TCP, whose contact a test closes and opens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from engine.devices.profile import MODBUS_PROFILES, with_overrides
from engine.devices.simulator.image_server import Image, ImageServer
from engine.devices.spec import DeviceSpec
from engine.domain.signals import EXTERNAL_CONTACT

NAME = "inputs"

Raw = Callable[[bool], Image]
"""What the module shows when its contact is closed (True) or open."""


def as_discrete_input(closed: bool) -> Image:
    """Input 0 of the shipped profile: 1 while the contact is closed."""
    return {2: {0: int(closed), 1: 1, 2: 1}}


class ContactDevice:
    """Serves the contact; `closed` may be changed at any time.

    Args:
        raw: What the module shows.
        register: Fields of the register in the configuration, besides those of the profile.
    """

    def __init__(
        self, raw: Raw = as_discrete_input, register: Mapping[str, Any] | None = None
    ) -> None:
        self.closed = False
        self._profile = with_overrides(
            MODBUS_PROFILES["digital_input_module"], {EXTERNAL_CONTACT: register or {}}
        )
        self._server = ImageServer(lambda: raw(self.closed))
        self.port = self._server.start()

    @property
    def spec(self) -> DeviceSpec:
        """The module as a device of the site."""
        return DeviceSpec(NAME, self._profile, "127.0.0.1", self.port, 1, simulated=True)

    def close(self) -> None:
        """Stop answering."""
        self._server.stop()
