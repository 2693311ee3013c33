"""What a backtest answers: as text, as JSON and as files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.domain.errors import EmsError

if TYPE_CHECKING:
    from engine.analytics.backtest.case import BacktestCase
    from engine.analytics.backtest.evaluate import Comparison


def about(case: BacktestCase) -> dict[str, Any]:
    """Return what a document says of the site and the period."""
    return {
        "site": {
            "name": case.site.name,
            "timezone": case.site.timezone,
            "energy_capacity_kwh": case.battery.energy_capacity_kwh,
        },
        "period": {"from": case.start.isoformat(), "to": case.end.isoformat()},
        "quarter_hours": case.n,
    }


def period_line(case: BacktestCase) -> str:
    """Return the site and its period as a line of text, in local time."""
    from zoneinfo import ZoneInfo

    zone = ZoneInfo(case.site.timezone)
    first, last = case.start.astimezone(zone), case.end.astimezone(zone)
    return f"{case.site.name}, {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} ({zone.key})"


def document_of(report: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON."""
    return {
        **about(report.case),
        "without_battery_eur": report.without_eur,
        "perfect_saving_eur": report.perfect.saving_eur,
        "strategies": {r.policy.strategy: r.as_dict() for r in report.results},
        "assumptions": list(report.assumptions),
    }


def lines_of(report: Comparison) -> list[str]:
    """Return a comparison as lines of text."""
    lines = [
        period_line(report.case),
        f"without a battery {report.without_eur:,.2f} EUR; perfect foresight saves "
        f"{report.perfect.saving_eur:,.2f} EUR",
        "",
        f"{'strategy':<24}{'saving EUR':>12}{'capture':>9}{'energy':>12}{'demand':>11}{'wear':>9}"
        f"{'cycles':>8}{'own use':>9}{'autarky':>9}{'s':>7}",
    ]
    for result in report.results:
        lines.append(
            f"{result.policy.strategy:<24}{result.saving_eur:>12,.2f}{share_text(result.capture):>9}"
            f"{result.energy_eur:>12,.2f}{result.demand_eur:>11,.2f}{result.wear_eur:>9,.2f}"
            f"{result.full_cycles:>8.1f}{share_text(result.self_consumption):>9}"
            f"{share_text(result.self_sufficiency):>9}{result.seconds:>7.1f}"
        )
    lines += ["", "monthly peaks, kW"]
    lines.append(f"{'':<24}" + "".join(f"{m.month:>9}" for m in report.perfect.months))
    lines.append(
        f"{'without a battery':<24}"
        + "".join(f"{m.peak_without_kw:>9.1f}" for m in report.perfect.months)
    )
    lines += [
        f"{r.policy.strategy:<24}" + "".join(f"{kw:>9.1f}" for kw in r.monthly_peaks_kw)
        for r in report.results
    ]
    lines += ["", "What the numbers rest on:"]
    lines += [f"  {text}" for text in report.assumptions]
    lines += [f"  {r.policy.strategy}: {text}" for r in report.results for text in r.notes]
    return lines


def share_text(value: float | None) -> str:
    """Return a share with three digits, a dash where it is not known."""
    return "-" if value is None else f"{value:.3f}"


def write_results(folder: Path, report: Comparison, document: dict[str, Any]) -> None:
    """Write report and quarter-hours; each file whole or not at all."""
    from engine.analytics.backtest.files_out import write_traces

    with writing(folder):
        for result in report.results:
            write_traces(folder / f"{result.policy.strategy}.parquet", report.case, result)
        write_report(folder, document)


def write_report(folder: Path, document: dict[str, Any]) -> None:
    """Write ``report.json``, whole or not at all."""
    from engine.config.load import write_atomically

    write_atomically(folder / "report.json", json.dumps(document, allow_nan=False, indent=1))


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Make the folder; say it where something in it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as exc:
        raise EmsError(
            f"The results cannot be written to {folder}: {exc.strerror or exc}.",
            field="--out",
            value=str(folder),
            hint="Choose a folder that can be written.",
        ) from exc
