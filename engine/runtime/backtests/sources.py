"""Where the data of a backtest come from, and the case they make with a site."""

from __future__ import annotations

import base64
import binascii
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from engine.analytics.backtest.case import BacktestCase, SiteSeries
from engine.analytics.backtest.from_history import series_from_history
from engine.analytics.backtest.inputs import InputFiles, read_inputs
from engine.analytics.backtest.site_file import case_from
from engine.config.schema import Config
from engine.domain.errors import BacktestError
from engine.domain.local_days import local_midnight
from engine.domain.quarter_hour import STEP
from engine.domain.site import Battery, GridConnection, Site
from engine.history.store import HistoryStore
from engine.recorded.library import PRICE_YEARS, SITES, price_year, site_series
from engine.recorded.recording import Recording
from engine.runtime.backtests.desk import BacktestDefaults
from engine.runtime.backtests.request import (
    LONGEST_DAYS,
    MOST_UPLOAD_BYTES,
    BacktestRequest,
    DataConfig,
    UploadedFile,
)
from engine.runtime.upload_name import harmless_name

RECORDED_PAST = timedelta(days=35)
"""Past of a recorded period that forecasts learn from."""

_HISTORY_DAYS = 28


@dataclass(frozen=True, slots=True)
class BacktestSources:
    """What cases are made of.

    Attributes:
        config: Returns the configuration in force.
        site: The site.
        store: The history.
        recording: The demo recording.
        now: The engine's time, UTC.
    """

    config: Callable[[], Config]
    site: Site
    store: HistoryStore
    recording: Callable[[], Recording]
    now: Callable[[], datetime]

    def case(self, asked: BacktestRequest) -> BacktestCase:
        """Return the case that is asked for.

        Raises:
            EmsError: The data do not cover the period, a file is wrong, or the history could
                not be read.
        """
        site = self._site(asked)
        series, start, end = self._series(asked.data, site)
        if end - start > timedelta(days=LONGEST_DAYS):
            raise BacktestError(
                f"The period is longer than {LONGEST_DAYS} days.",
                field="data.start",
                hint="Choose a shorter period.",
            )
        config = self.config()
        if asked.tariff is not None:
            config = config.model_copy(update={"tariff": asked.tariff})
        case = case_from(
            config, site, series, start, end, soc_start_percent=asked.soc_start_percent
        )
        return replace(case, assumptions=(_SAID[asked.data.source], *case.assumptions))

    def defaults(self) -> BacktestDefaults:
        """Return what a new backtest begins with: the site as it runs."""
        yesterday = self.now().astimezone(ZoneInfo(self.site.timezone)).date() - _DAY
        return BacktestDefaults(
            site=self.site,
            tariff=self.config().tariff,
            recorded=self.recorded_days(),
            history=(yesterday - timedelta(days=_HISTORY_DAYS - 1), yesterday),
        )

    def recorded_days(self) -> dict[str, tuple[date, date]]:
        """Return first and last day of every recorded price year that can be replayed."""
        zone = ZoneInfo(self.site.timezone)
        known = {key: price_year(key).days(zone) for key in PRICE_YEARS}
        return {key: (first + RECORDED_PAST, last) for key, (first, last) in known.items()}

    def _site(self, asked: BacktestRequest) -> Site:
        battery, grid = self.site.battery, self.site.grid
        if asked.bess is not None:
            battery = Battery(**asked.bess.model_dump())
        if asked.grid is not None:
            grid = GridConnection(asked.grid.import_limit_kw, asked.grid.export_limit_kw)
        return replace(self.site, battery=battery, grid=grid)

    def _series(self, data: DataConfig, site: Site) -> tuple[SiteSeries, datetime, datetime]:
        zone = ZoneInfo(site.timezone)
        if data.source == "upload":
            return _uploaded(data, site, zone)
        if data.source == "history":
            today = self.now().astimezone(zone).date()
            last = data.end or today - timedelta(days=1)
            first = data.start or last - timedelta(days=_HISTORY_DAYS - 1)
            start, end = local_midnight(first, zone), local_midnight(last + _DAY, zone)
            return series_from_history(self.store, site.site_id, start, end), start, end
        return self._recorded(data, zone)

    def _recorded(self, data: DataConfig, zone: ZoneInfo) -> tuple[SiteSeries, datetime, datetime]:
        first_known, last_known = self.recorded_days()[data.prices]
        first, last = data.start or first_known, data.end or last_known
        if first < first_known or last > last_known:
            raise BacktestError(
                f"These recorded prices are known from {first_known} to {last_known}, with the "
                "weeks before that forecasts learn from.",
                field="data.start",
                value=first.isoformat(),
                hint="Choose a period inside of it, or another price year.",
            )
        prices = price_year(data.prices)
        begin = max(local_midnight(first - RECORDED_PAST, zone), prices.start)
        start, end = local_midnight(first, zone), local_midnight(last + _DAY, zone)
        n, at = (end - begin) // STEP, (begin - prices.start) // STEP
        load, pv = site_series(data.site, begin, n, timezone=zone.key, demo=self.recording())
        series = SiteSeries(
            begin,
            prices.spot_eur_per_kwh[at : at + n],
            load,
            pv,
            notes=(
                f"Recorded site '{data.site}': {SITES[data.site].source}.",
                f"Recorded prices '{data.prices}': {PRICE_YEARS[data.prices].source}.",
                "Load and PV are those of the recorded day with the same weekday nearest in the "
                "season; prices are those of the day itself.",
            ),
        )
        return series, start, end


_DAY = timedelta(days=1)

_SAID = {
    "recorded": "Data: a recorded site and recorded prices that come with the program.",
    "history": "Data: this site's own history, as measured and published.",
    "upload": "Data: files that were uploaded.",
}


def _uploaded(
    data: DataConfig, site: Site, zone: ZoneInfo
) -> tuple[SiteSeries, datetime, datetime]:
    start = None if data.start is None else local_midnight(data.start, zone)
    end = None if data.end is None else local_midnight(data.end + _DAY, zone)
    with tempfile.TemporaryDirectory(prefix="ems-backtest-") as folder:
        paths, size = [], 0
        for number, file in enumerate(data.files):
            content = _decoded(file)
            size += len(content)
            if size > MOST_UPLOAD_BYTES:
                raise BacktestError(
                    f"The files are larger than {MOST_UPLOAD_BYTES // 1_000_000} MB.",
                    field="data.files",
                    value=file.name,
                    hint="Send quarter-hours instead of seconds, or Parquet instead of CSV.",
                )
            own = Path(folder) / str(number)
            own.mkdir()
            path = own / (harmless_name(file.name) or "data.csv")
            path.write_bytes(content)
            paths.append(path)
        series, first, last = read_inputs(InputFiles(data=tuple(paths)), site, start, end)
    return series, first, last


def _decoded(file: UploadedFile) -> bytes:
    text = file.content_base64
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise BacktestError(
            f"The content of {file.name} is not base64.",
            field="data.files",
            value=file.name,
            hint="Encode the bytes of the file as base64.",
        ) from exc
