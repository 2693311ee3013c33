"""The median of several models, and what takes over when history is too short for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.domain.errors import ForecastError
from engine.forecasting.day_model import DayModel, DayPrediction, FitBook, FittedDayModel
from engine.forecasting.day_table import DayTable


@dataclass(frozen=True, slots=True, eq=False)
class FittedBlend:
    """A blend that has learnt (`FittedDayModel`)."""

    key: str
    members: tuple[FittedDayModel, ...]
    fallbacks: tuple[FittedDayModel, ...]
    missing: tuple[str, ...]

    def predict(self, table: DayTable, row: int, origin: int) -> DayPrediction:
        """Predict a day (see `FittedDayModel.predict`)."""
        said = list(self.missing)
        made: list[DayPrediction] = []
        for member in self.members:
            try:
                made.append(member.predict(table, row, origin))
            except ForecastError as exc:
                said.append(exc.message)
        reason = f" ({'; '.join(dict.fromkeys(said))})" if said else ""
        if len(made) == 1:
            return DayPrediction(made[0].values, made[0].key, made[0].note + reason)
        if made:
            values = np.median(np.stack([p.values for p in made]), axis=0)
            notes = ", ".join(p.note for p in made)
            return DayPrediction(values, self.key, f"median of {notes}{reason}")
        last: ForecastError | None = None
        for fallback in self.fallbacks:
            try:
                found = fallback.predict(table, row, origin)
            except ForecastError as exc:
                last = exc
                continue
            return DayPrediction(found.values, found.key, found.note + reason)
        raise last or ForecastError(
            "No model could make a forecast.", hint=reason.strip(" ()") or None
        )


class Blend:
    """Median of the members that have enough history, else the first fallback that works.

    Args:
        key: Key while at least two members take part; a lone model keeps its own.
        members: Models whose median is the forecast.
        fallbacks: Models used, first come first served, when no member can.
    """

    def __init__(
        self, key: str, members: Sequence[DayModel], fallbacks: Sequence[DayModel] = ()
    ) -> None:
        self.key = key
        self.train_days = max(m.train_days for m in [*members, *fallbacks])
        self._members = [FitBook(m) for m in members]
        self._fallbacks = [FitBook(m) for m in fallbacks]

    def fit(self, table: DayTable, row: int, *, calibrating: bool) -> FittedBlend:
        """Learn what is due from the rows before `row`.

        Old fits serve longer while residuals of past origins are computed (`calibrating`).

        Raises:
            ForecastError: When neither a member nor a fallback has enough history.
        """
        days = table.complete_days(row)
        missing: list[str] = []
        last: ForecastError | None = None
        fitted: dict[bool, list[FittedDayModel]] = {True: [], False: []}
        for is_member, books in ((True, self._members), (False, self._fallbacks)):
            for book in books:
                model = book.model
                try:
                    if days < model.min_days:
                        raise ForecastError(
                            f"not enough history for {model.key}: {days} of {model.min_days} days",
                            hint="Wait for more measured days, or import past values.",
                        )
                    fitted[is_member].append(book.get(table, row, calibrating=calibrating))
                except ForecastError as exc:
                    last = exc
                    if is_member:
                        missing.append(exc.message)
        if last is not None and not fitted[True] and not fitted[False]:
            raise last
        return FittedBlend(self.key, tuple(fitted[True]), tuple(fitted[False]), tuple(missing))
