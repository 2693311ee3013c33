"""Sections of ``ems.yaml`` on limits and control between two plans."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.config.section import Percent, PowerKw, Section
from engine.config.tariff_windows import TimeWindow

Celsius = Annotated[float, Field(ge=-60, le=120)]
ExternalSource = Literal["api", "mqtt", "digital_input", "dso"]


class TemperatureBandConfig(Section):
    """Power over temperature: none outside the stops, all between the full marks, linear between.

    The four marks must rise.

    Attributes:
        stop_below_c: At and below it no power.
        full_from_c: From here on all power.
        full_to_c: Up to here all power.
        stop_above_c: At and above it no power.
    """

    stop_below_c: Celsius
    full_from_c: Celsius
    full_to_c: Celsius
    stop_above_c: Celsius

    @model_validator(mode="after")
    def _marks_rise(self) -> TemperatureBandConfig:
        marks = [
            ("stop_below_c", self.stop_below_c),
            ("full_from_c", self.full_from_c),
            ("full_to_c", self.full_to_c),
            ("stop_above_c", self.stop_above_c),
        ]
        for (lower, low), (upper, high) in pairwise(marks):
            if low >= high:
                raise ValueError(
                    f"{upper} ({high:g} °C) must be above {lower} ({low:g} °C). "
                    "Write the four temperatures in rising order."
                )
        return self


def _charge_band() -> TemperatureBandConfig:
    return TemperatureBandConfig(
        stop_below_c=0.0, full_from_c=10.0, full_to_c=45.0, stop_above_c=55.0
    )


def _discharge_band() -> TemperatureBandConfig:
    return TemperatureBandConfig(
        stop_below_c=-20.0, full_from_c=-10.0, full_to_c=50.0, stop_above_c=60.0
    )


class TemperatureConfig(Section):
    """Less power when the battery is cold or hot.

    A missing temperature stops the battery only where it is `required`: the battery's own BMS
    derates too, and many report no temperature at all. A direction stopped at an end is
    released `hysteresis_c` inside it.

    Attributes:
        required: A missing temperature stops the battery.
        hysteresis_c: A direction stopped at an end is released this far inside it.
        charge: Marks for charging.
        discharge: Marks for discharging.
    """

    required: bool = False
    hysteresis_c: Annotated[float, Field(ge=0, le=20)] = 2.0
    charge: TemperatureBandConfig = Field(default_factory=_charge_band)
    discharge: TemperatureBandConfig = Field(default_factory=_discharge_band)


class FeedInWindow(TimeWindow):
    """A feed-in limit that applies in a window of local time, for example at noon.

    Attributes:
        limit_kw: Limit inside the window; this or `percent_of_pv`.
        percent_of_pv: Limit as a share of the installed PV power.
    """

    limit_kw: PowerKw | None = None
    percent_of_pv: Percent | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> FeedInWindow:
        if (self.limit_kw is None) == (self.percent_of_pv is None):
            raise ValueError("Give limit_kw or percent_of_pv, one of both.")
        return self


class FeedInConfig(Section):
    """Most that may be fed into the grid: fixed, as a share of the PV power, and by windows.

    All that apply at an instant apply together; the lowest rules.

    Attributes:
        limit_kw: Fixed limit; None: none.
        percent_of_pv: Limit as a share of the installed PV power; None: none.
        windows: Limits that apply in windows of local time.
    """

    limit_kw: PowerKw | None = None
    percent_of_pv: Percent | None = None
    windows: list[FeedInWindow] = Field(default_factory=list)

    @property
    def needs_pv_peak(self) -> bool:
        """True when the installed PV power must be known."""
        shares = (self.percent_of_pv, *(window.percent_of_pv for window in self.windows))
        return any(share is not None for share in shares)


class ReducedConfig(Section):
    """What is allowed while a source asks for less without naming a power; None: no limit.

    Attributes:
        import_kw: Most import from the grid.
        export_kw: Most export to the grid.
        charge_kw: Most charge power of the battery.
        discharge_kw: Most discharge power of the battery.
    """

    import_kw: PowerKw | None = None
    export_kw: PowerKw | None = None
    charge_kw: PowerKw | None = 0.0
    discharge_kw: PowerKw | None = 0.0


class ExternalSourceConfig(Section):
    """One outside source of limits: grid operator (§14a EnWG), API, MQTT or a digital input.

    Attributes:
        source: Which one; each at most once.
        after_validity: What follows when a limit's validity ends: ``release`` it, ``hold`` it
            until the source says otherwise, or the ``reduced`` values.
        contact_from: Who says whether the digital input is closed: a client of the ``api``, or a
            ``device`` that is read. A device that does not say it counts as closed.
        heartbeat_s: A source that must be heard at least this often; while it is silent (also
            before it is first heard) the `reduced` values apply. None: silence means nothing.
        reduced: Applies for a closed contact of the digital input, a lost heartbeat and, where
            chosen, after the validity. For §14a, ``{charge_kw: 4.2, discharge_kw: null}``.
    """

    source: ExternalSource
    contact_from: Literal["api", "device"] | None = None
    after_validity: Literal["release", "hold", "reduced"] = "release"
    heartbeat_s: Annotated[float, Field(gt=0, le=86_400)] | None = None
    reduced: ReducedConfig = Field(default_factory=ReducedConfig)

    @property
    def reads_contact(self) -> bool:
        """True when the state of the contact is read from a device."""
        return self.contact_from == "device"

    @model_validator(mode="after")
    def _only_a_contact_has_an_origin(self) -> ExternalSourceConfig:
        if self.contact_from is not None and self.source != "digital_input":
            raise ValueError(
                f"limits.external|contact_from belongs to the digital input, not to {self.source}.|"
                "Remove it, or state source: digital_input."
            )
        if self.reads_contact and self.heartbeat_s is not None:
            raise ValueError(
                "limits.external|A contact read from a device needs no heartbeat_s "
                f"({self.heartbeat_s:g}): it counts as closed as soon as it is not read.|"
                "Remove heartbeat_s."
            )
        return self


class LimitsConfig(Section):
    """Limits on top of nameplate and grid connection.

    Attributes:
        soc_release_percent: A direction stopped at an end of the SoC window is released this far
            inside it.
        rise_percent_per_s: Fastest rise of a limit, share of nameplate per second; limits fall at
            once.
        grid_margin_kw: Distance kept from the limits of the grid connection.
        temperature: Less power when the battery is cold or hot.
        feed_in: Most that may be fed into the grid.
        external: Outside sources of limits.
    """

    soc_release_percent: Annotated[float, Field(ge=0, le=20)] = 1.0
    rise_percent_per_s: Annotated[float, Field(gt=0, le=5)] = 5.0
    grid_margin_kw: PowerKw = 0.0
    temperature: TemperatureConfig = Field(default_factory=TemperatureConfig)
    feed_in: FeedInConfig = Field(default_factory=FeedInConfig)
    external: list[ExternalSourceConfig] = Field(default_factory=list)

    @property
    def reads_contact(self) -> bool:
        """True when a device is to say whether the digital input is closed."""
        return any(entry.reads_contact for entry in self.external)

    @model_validator(mode="after")
    def _sources_are_distinct(self) -> LimitsConfig:
        names = [entry.source for entry in self.external]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(
                    f"limits.external|The source {name} is stated {names.count(name)} times.|"
                    "State each source once."
                )
        return self


class ControlConfig(Section):
    """The law between two plans.

    Attributes:
        mode: ``value`` weighs stored energy against the live price; ``hold`` and ``track``
            exist for comparison: the planned battery power, the planned grid power.
        peak_guard: Hold the running 15-min mean of the import under the peak the plan holds.
        peak_reserve: Keep the energy the plan sets aside for peaks.
        guard_margin_percent: The guard aims this far below the cap.
        net_load_gain: Filter gain on the net load per 2 s (notes/optimisation section 4: not
            oscillating up to 0.4 even when meter and battery samples lie a cycle apart).
        calm_filter_s: Time constant of the mean by which the direction is chosen.
        deadband_kw: Smaller powers and smaller changes are left alone, but for a person's order.
        ramp_percent_per_s: Fastest change of the setpoint, share of nameplate; limits and
            grid needs act at once.
        min_hold_s: The battery stands still this long between charging and discharging.
        reserve_band_percent: Share of capacity above the reserve in which it only rests.
        without_plan: Without a plan or a price the battery stands still (``idle``) or stores
            surplus and serves the load (``self_consumption``); the guard works in both.
    """

    mode: Literal["value", "hold", "track"] = "value"
    peak_guard: bool = True
    peak_reserve: bool = True
    guard_margin_percent: Annotated[float, Field(ge=0, le=20)] = 1.0
    net_load_gain: Annotated[float, Field(gt=0, le=1)] = 0.4
    calm_filter_s: Annotated[float, Field(ge=0, le=900)] = 60.0
    deadband_kw: Annotated[float, Field(ge=0, le=1000)] = 1.0
    ramp_percent_per_s: Annotated[float, Field(gt=0, le=100)] = 20.0
    min_hold_s: Annotated[float, Field(ge=0, le=900)] = 60.0
    reserve_band_percent: Annotated[float, Field(ge=0, le=10)] = 1.0
    without_plan: Literal["idle", "self_consumption"] = "idle"
