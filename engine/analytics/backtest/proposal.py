"""What a tournament proposes: settings of the planner. Imports nothing that calculates."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from engine.config.planning import PlanningConfig
from engine.domain.errors import BacktestError


@dataclass(frozen=True, slots=True)
class Proposal:
    """Settings for the planner, and what they earned on a past that had no say in the choice.

    Attributes:
        site_id: The site.
        made_at: When, UTC, ISO 8601.
        uncertainty: For ``planning.uncertainty``.
        peak_reserve: For ``planning.peak_reserve``.
        reserve_share: For ``planning.reserve_share``.
        peak_target_share: For ``planning.peak_target_share``.
        trained_from: Start of the training window.
        tested_from: End of it, and start of the window the figures are from.
        tested_until: End of that window.
        candidates: Number of policies tried.
        saving_eur: What the settings would have saved in the window they were not chosen on.
        capture: The same as a share of perfect foresight; None where that saves nothing.
        current_saving_eur: What the settings in force would have saved there.
        current_capture: Likewise.
        reserve_pv_quantile: For ``planning.reserve_pv_quantile``; proposals of old have none.
    """

    site_id: str
    made_at: str
    uncertainty: Literal["median", "scenarios"]
    peak_reserve: Literal["on", "off"]
    reserve_share: float
    peak_target_share: float
    trained_from: str
    tested_from: str
    tested_until: str
    candidates: int
    saving_eur: float
    capture: float | None
    current_saving_eur: float
    current_capture: float | None
    reserve_pv_quantile: float = 0.0

    @property
    def gain_eur(self) -> float:
        """What the proposal earned more than the settings in force, out of sample."""
        return self.saving_eur - self.current_saving_eur

    def planning(self) -> dict[str, Any]:
        """Return the keys of the section ``planning`` that it sets."""
        return {
            "uncertainty": self.uncertainty,
            "peak_reserve": self.peak_reserve,
            "reserve_share": self.reserve_share,
            "reserve_pv_quantile": self.reserve_pv_quantile,
            "peak_target_share": self.peak_target_share,
        }

    def is_in_force(self, planning: PlanningConfig) -> bool:
        """True when the configuration says the same already."""
        return all(getattr(planning, key) == value for key, value in self.planning().items())

    def to_json(self) -> str:
        """Return it as text, for keeping."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Proposal:
        """Return what `to_json` kept.

        Raises:
            BacktestError: The text is none.
        """
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError) as exc:
            raise BacktestError(
                "The stored proposal cannot be read.",
                field="proposal",
                hint="Run the tournament again.",
            ) from exc
