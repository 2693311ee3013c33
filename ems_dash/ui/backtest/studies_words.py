"""Studies of a backtest as words and table cells, shared by page and report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ems_dash.i18n import label, t
from ems_dash.i18n.backtest_said import refused
from ems_dash.ui import format as fmt
from ems_dash.ui.backtest import words as w
from engine.analytics.studies.asked import IN_FORCE

ORDER: tuple[str, ...] = ("tariffs", "limits", "forecast", "montecarlo")
"""Studies in the order they are shown."""

LIMITS: tuple[str, ...] = ("grid_import", "grid_export", "cycles")

PERFECT = "perfect"
FORESIGHT: tuple[str, ...] = (PERFECT, "perfect_36h")
"""Forecasts nobody can have."""


@dataclass(frozen=True, slots=True)
class TariffCosts:
    """Rows of one tariff.

    Attributes:
        without: No battery.
        best: The cheapest strategy that knows no more than it can.
        perfect: Perfect foresight.
    """

    without: w.Result | None
    best: w.Result | None
    perfect: w.Result | None

    @property
    def name(self) -> w.Result:
        """A row that bears the tariff's name."""
        found = self.without or self.best or self.perfect
        assert found is not None
        return found


def shown(result: w.Result) -> list[tuple[str, w.Result]]:
    """Return the studies of a result by name, in the order shown; results of old have none."""
    found: Mapping[str, w.Result] = result.get("studies") or {}
    return [(name, found[name]) for name in ORDER if name in found]


def heads(name: str, lang: str) -> list[str]:
    """Return the heads of the columns of a study."""
    columns = {
        "tariffs": ("tariff", "strategy", "total", "saving", "capture", "demand", "cycles"),
        "limits": ("limit", "value", "gain", "per_unit"),
        "forecast": ("forecasts", "saving", "capture"),
        "montecarlo": ("share_of_years", "saving_per_year"),
    }[name]
    return [t(f"backtest.col_{column}", lang) for column in columns]


def rows(name: str, study: w.Result, lang: str) -> list[list[str]]:
    """Return the cells of a study, the name of each row first."""
    if study["failure"] is not None:
        return []
    if name == "montecarlo":
        return _years(study, lang)
    cells = {"tariffs": _tariff, "limits": _limit, "forecast": _forecast}[name]
    return [cells(row, lang) for row in study["rows"]]


def claim(name: str, study: w.Result, lang: str) -> str | None:
    """Return what a study says, in a sentence; None where its table says it all."""
    if study["failure"] is not None:
        return t("backtest.study_failed", lang, why=refused(study["failure"], lang)[0])
    if name == "montecarlo":
        saving = study["saving"]
        return t(
            "backtest.study_montecarlo_claim",
            lang,
            years=fmt.number(study["n"], 0, lang),
            low=w.euros(saving["p10"], lang),
            middle=w.euros(saving["p50"], lang),
            high=w.euros(saving["p90"], lang),
        )
    if name == "tariffs":
        return _tariffs_claim(study, lang)
    if name != "forecast":
        return None
    forecaster = scaled_forecaster(study)
    known = {
        row["error_scale"]: row["capture"]
        for row in study["rows"]
        if row["forecaster"] == forecaster
    }
    best, own = known.get(0.0), known.get(1.0)
    if best is None or own is None:
        return None
    return t(
        "backtest.study_forecast_claim", lang, best=w.share(best, lang), own=w.share(own, lang)
    )


def caption(name: str, lang: str) -> str:
    """Return what a study shows, and against what."""
    return t(f"backtest.study_{name}_caption", lang)


def scaled_forecaster(study: w.Result) -> str | None:
    """Return the forecaster whose errors were scaled; None where none was."""
    return next(
        (str(row["forecaster"]) for row in study["rows"] if row["error_scale"] != 1.0), None
    )


def forecast_name(row: w.Result, lang: str) -> str:
    """Return what was known in a row of the study of forecasts."""
    name = label("backtest.forecaster", str(row["forecaster"]), lang)
    if row["error_scale"] == 1.0:
        return name
    return t(
        "backtest.errors_times", lang, name=name, scale=fmt.number(row["error_scale"], 2, lang)
    )


def limit_name(row: w.Result, lang: str) -> str:
    """Return the name of a limit."""
    return t(f"backtest.limit_{row['limit']}", lang)


def _limit(row: w.Result, lang: str) -> list[str]:
    at = row["at"]
    unit = f"{fmt.NBSP}kW" if row["limit"] != "cycles" else ""
    value = t("backtest.unlimited", lang) if at is None else f"{fmt.number(at, 0, lang)}{unit}"
    if row["failure"] is not None:
        return [limit_name(row, lang), value, t("backtest.not_kept", lang), fmt.NO_VALUE]
    return [
        limit_name(row, lang),
        value,
        w.euros(row["gain_eur"], lang, signed=True),
        fmt.NO_VALUE if row["price_eur"] is None else fmt.number(row["price_eur"], 2, lang),
    ]


def _forecast(row: w.Result, lang: str) -> list[str]:
    saving, capture = w.euros(row["saving_eur"], lang), w.share(row["capture"], lang)
    return [forecast_name(row, lang), saving, capture]


def tariff_name(row: w.Result, lang: str) -> str:
    """Return the name of a tariff; the one in force in words of the language."""
    name = str(row["tariff"])
    return t("backtest.tariff_in_force", lang) if name == IN_FORCE else name


def tariff_costs(study: w.Result) -> list[TariffCosts]:
    """Return what the site pays under each tariff, in the order shown."""
    found: dict[str, list[w.Result]] = {}
    for row in study["rows"]:
        if row["total_eur"] is not None:
            found.setdefault(str(row["tariff"]), []).append(row)
    return [
        TariffCosts(
            without=next((row for row in rows if row["strategy"] == w.NO_BATTERY), None),
            best=min(filter(_attainable, rows), key=_total, default=None),
            perfect=next((row for row in rows if row["forecaster"] == PERFECT), None),
        )
        for rows in found.values()
    ]


def _attainable(row: w.Result) -> bool:
    return row["strategy"] != w.NO_BATTERY and row["forecaster"] not in FORESIGHT


def _total(row: w.Result) -> float:
    return float(row["total_eur"])


def _tariffs_claim(study: w.Result, lang: str) -> str | None:
    """Return the cheapest of what can be had, beside the cheapest under the tariff in force."""
    best = [costs.best for costs in tariff_costs(study) if costs.best is not None]
    own = next((row for row in best if row["tariff"] == IN_FORCE), None)
    if own is None:
        return None
    cheapest = min(best, key=_total)
    if cheapest is own:
        return t("backtest.study_tariffs_stay", lang, total=w.euros(own["total_eur"], lang))
    return t(
        "backtest.study_tariffs_claim",
        lang,
        tariff=tariff_name(cheapest, lang),
        strategy=w.strategy_name(cheapest, lang),
        total=w.euros(cheapest["total_eur"], lang),
        less=w.euros(_total(own) - _total(cheapest), lang),
    )


def _tariff(row: w.Result, lang: str) -> list[str]:
    return [
        tariff_name(row, lang),
        w.strategy_name(row, lang),
        w.euros(row["total_eur"], lang),
        w.euros(row["saving_eur"], lang),
        w.share(row["capture"], lang),
        w.euros(row["demand_eur"], lang),
        fmt.number(row["full_cycles"], 0, lang),
    ]


def _years(study: w.Result, lang: str) -> list[list[str]]:
    saving = study["saving"]
    return [
        [t(f"backtest.years_{key}", lang), w.euros(saving[key], lang)]
        for key in ("p10", "p50", "p90")
    ]
