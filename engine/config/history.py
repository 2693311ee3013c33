"""Section of ``ems.yaml`` on how long what is kept."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from engine.config.section import Section


class HistoryConfig(Section):
    """How long samples and roll-ups are kept; quarter-hours are kept for ever.

    Attributes:
        raw_days: Days of samples in quick storage; older ones move to the archive.
        minute_days: Days for which minutes are kept.
        archive_months: Months of samples in the archive; None keeps them for ever.
        batch_seconds: Time between two commits: at most this much is lost in a power cut.
        backup_folder: Folder that a backup may be written to while the program runs; None: only
            ``backup`` inside the data folder.
    """

    raw_days: Annotated[int, Field(ge=2, le=3660)] = 14
    minute_days: Annotated[int, Field(ge=30, le=36_600)] = 1825
    archive_months: Annotated[int, Field(ge=1, le=1200)] | None = 24
    batch_seconds: Annotated[float, Field(ge=2, le=30)] = 10.0
    backup_folder: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _archive_outlives_the_hot_file(self) -> HistoryConfig:
        if self.archive_months is not None and self.archive_months * 28 < self.raw_days:
            raise ValueError(
                "history.archive_months|"
                f"An archive of {self.archive_months} months is shorter than raw_days "
                f"({self.raw_days}).|Raise archive_months, or lower raw_days."
            )
        if self.minute_days < self.raw_days:
            raise ValueError(
                "history.minute_days|"
                f"Minutes ({self.minute_days} days) must be kept at least as long as samples "
                f"(raw_days: {self.raw_days}).|Raise minute_days, or lower raw_days."
            )
        return self
