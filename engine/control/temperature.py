"""Less power when the battery is cold or hot."""

from __future__ import annotations

from engine.config.control import TemperatureBandConfig


class TemperatureDerating:
    """Share of nameplate power that a temperature allows, for one direction.

    Args:
        band: The four marks of the trapezium.
        hysteresis_c: How far inside an end a stopped direction is released.
    """

    def __init__(self, band: TemperatureBandConfig, hysteresis_c: float) -> None:
        self._band = band
        self._hysteresis_c = hysteresis_c
        self._stopped = False

    def share(self, temperature_c: float) -> float:
        """Return the share of nameplate power allowed, 0..1."""
        band = self._band
        if temperature_c <= band.stop_below_c or temperature_c >= band.stop_above_c:
            self._stopped = True
        elif (
            temperature_c >= band.stop_below_c + self._hysteresis_c
            and temperature_c <= band.stop_above_c - self._hysteresis_c
        ):
            self._stopped = False
        if self._stopped:
            return 0.0
        cold = (temperature_c - band.stop_below_c) / (band.full_from_c - band.stop_below_c)
        hot = (band.stop_above_c - temperature_c) / (band.stop_above_c - band.full_to_c)
        return max(0.0, min(1.0, cold, hot))
