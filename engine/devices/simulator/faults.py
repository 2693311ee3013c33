"""Faults that tests and exercises can inject into the demo plant."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class PlantFaults:
    """Switches for faults; they act from the plant's next step on.

    Attributes:
        bms_fault: System fault: status 8, no power either way.
        contactor_abnormal_open: The contactor opened by itself; a system fault, too.
        contactor_abnormal_closed: The contactor did not open; a system fault, too.
        charge_prohibited: The BMS forbids charging (status 5, with the next one 7).
        discharge_prohibited: The BMS forbids discharging (status 6).
        charge_limit_kw: The BMS allows no more charge power than this.
        discharge_limit_kw: The BMS allows no more discharge power than this.
        insulation_kohm: Insulation resistance instead of the computed one.
        meter_frozen: The meter keeps answering with the values of this moment.
        setpoints_refused: The converter answers setpoints with "illegal value".
        setpoints_ignored: The converter confirms setpoints and does nothing.
        pv_limits_refused: The PV inverter answers limits with "illegal value".
        pv_limits_ineffective: The PV inverter shows a limit and generates as if it had none.
    """

    bms_fault: bool = False
    contactor_abnormal_open: bool = False
    contactor_abnormal_closed: bool = False
    charge_prohibited: bool = False
    discharge_prohibited: bool = False
    charge_limit_kw: float | None = None
    discharge_limit_kw: float | None = None
    insulation_kohm: float | None = None
    meter_frozen: bool = False
    setpoints_refused: bool = False
    setpoints_ignored: bool = False
    pv_limits_refused: bool = False
    pv_limits_ineffective: bool = False
