"""The optimiser's runs as components: what was planned, why, how well proven, and what failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dash import html

from ems_dash.i18n import label, said, t
from ems_dash.ui import components as ui
from ems_dash.ui import format as fmt
from ems_dash.ui.moment import Moment
from ems_dash.ui.segments import segments
from engine.domain.records import RunRow

DAYS: tuple[int, ...] = (1, 7, 30)
"""Periods to choose from."""

FILTERS: tuple[str, ...] = ("all", "published", "failed")
"""What may be listed; ``"failed"`` are runs without a plan, rejected ones too."""

MOST = 100
"""Rows shown; the newest."""

COLUMNS: tuple[str, ...] = (
    "time",
    "trigger",
    "strategy",
    "profit",
    "status",
    "solver",
    "gap",
    "solve",
    "whole",
)

_PILL = {"published": "ok", "rejected": "warn", "failed": "alarm"}


@dataclass(frozen=True, slots=True)
class Tally:
    """Runs of a period in figures.

    Attributes:
        runs: All of them.
        failed: Those without a plan.
        median_solve_ms: Median time inside the solver; None without a plan.
        median_ms: Median of the whole duration; None without any.
    """

    runs: int
    failed: int
    median_solve_ms: float | None
    median_ms: float | None


def tally(runs: Sequence[RunRow]) -> Tally:
    """Return the figures of `runs`."""
    return Tally(
        runs=len(runs),
        failed=sum(run.status != "published" for run in runs),
        median_solve_ms=_median([run.solve_ms for run in runs if run.solve_ms is not None]),
        median_ms=_median([run.duration_ms for run in runs]),
    )


def chosen(runs: Sequence[RunRow], wanted: str) -> list[RunRow]:
    """Return the runs that pass the filter `wanted`, newest first, at most `MOST`."""
    passing = [
        run
        for run in reversed(runs)
        if wanted == "all" or (run.status == "published") is (wanted == "published")
    ]
    return passing[:MOST]


def picker(days: int, wanted: str, lang: str) -> Any:
    """Return the choice of period and filter."""
    return html.Section(
        [
            segments(
                "rn-days",
                [(str(n), t(f"runs.days_{n}", lang)) for n in DAYS],
                str(days),
                t("analytics.period", lang),
            ),
            segments(
                "rn-filter",
                [(key, t(f"runs.filter_{key}", lang)) for key in FILTERS],
                wanted,
                t("runs.filter", lang),
            ),
        ],
        className="card an-picker",
        **{"aria-label": t("analytics.period", lang)},
    )


def body(runs: Sequence[RunRow], wanted: str, moment: Moment) -> list[Any]:
    """Return the runs of a period.

    Args:
        runs: All runs of the period, ascending.
        wanted: One of `FILTERS`.
        moment: The state of the engine.
    """
    lang = moment.lang
    if not runs:
        nothing = ui.empty(t("results.no_runs", lang), t("runs.none_hint", lang))
        return [html.Section(nothing, className="card")]
    listed = chosen(runs, wanted)
    found = tally(runs)
    heads = [t(f"runs.col_{name}", lang) for name in COLUMNS]
    return [
        html.Section(
            [
                html.Div(
                    [
                        html.H2(t("runs.title", lang), id="rn-title"),
                        html.Span(
                            caption(found, lang),
                            className="caption",
                        ),
                    ],
                    className="card-head",
                ),
                ui.table(
                    t("runs.title", lang),
                    heads,
                    [_row(run, heads, moment) for run in listed],
                    "as-cards an-runs",
                )
                if listed
                else ui.empty(t("runs.nothing_matches", lang)),
                html.P(t("runs.most", lang, n=MOST), className="caption")
                if len(listed) == MOST
                else None,
            ],
            className="card",
            **{"aria-labelledby": "rn-title"},
        )
    ]


def caption(found: Tally, lang: str) -> str:
    """Return the figures of a period in words, without the times that no run has."""
    parts = [
        t(f"runs.count_{'one' if found.runs == 1 else 'many'}", lang, n=_whole(found.runs, lang)),
        t("runs.without_plan", lang, n=_whole(found.failed, lang)),
    ]
    if found.median_solve_ms is not None:
        parts.append(t("runs.median_solve", lang, ms=_whole(found.median_solve_ms, lang)))
    if found.median_ms is not None:
        parts.append(t("runs.median_whole", lang, ms=_whole(found.median_ms, lang)))
    return " · ".join(parts)


def _whole(value: float, lang: str) -> str:
    return fmt.number(value, 0, lang)


def _row(run: RunRow, heads: Sequence[str], moment: Moment) -> Any:
    lang = moment.lang
    cells: list[Any] = [
        label("trigger", run.trigger, lang),
        label("strategy", run.strategy, lang) if run.strategy else fmt.NO_VALUE,
        fmt.money(run.expected_profit_eur, lang, signed=True),
        [
            html.Span(
                label("run_status", run.status, lang),
                className=f"pill pill-small pill-{_PILL.get(run.status, 'info')}",
            ),
            html.Div(said(run.message, lang), className="caption an-reason")
            if run.message
            else None,
        ],
        run.solver or fmt.NO_VALUE,
        _gap(run.gap, lang),
        f"{fmt.number(run.solve_ms, 0, lang)}{fmt.NBSP}ms",
        f"{fmt.number(run.duration_ms, 0, lang)}{fmt.NBSP}ms",
    ]
    if run.solve_ms is None:
        cells[-2] = fmt.NO_VALUE
    return html.Tr(
        [
            html.Th(
                f"{fmt.day_label(run.ts, moment.tz, lang)} "
                f"{fmt.clock_time(run.ts, moment.tz, seconds=True)}",
                scope="row",
                className="cell-title",
            ),
            *(
                html.Td(
                    cell,
                    className="cell-none" if cell == fmt.NO_VALUE else None,
                    **{"data-label": head},
                )
                for cell, head in zip(cells, heads[1:], strict=True)
            ),
        ]
    )


def _gap(gap: float | None, lang: str) -> str:
    if gap is None:
        return fmt.NO_VALUE
    return f"{fmt.number(100.0 * gap, 0 if gap == 0.0 else 3, lang)}{fmt.NBSP}%"


def _median(values: Sequence[float]) -> float | None:
    if not values:
        return None
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
