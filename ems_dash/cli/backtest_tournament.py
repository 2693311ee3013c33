"""``backtest --tournament``: the planning settings that suit a site."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from ems_dash.cli.backtest_case import forecaster_of, has_demand_charge, site_path
from ems_dash.cli.backtest_report import share_text
from ems_dash.cli.progress_line import ProgressLine
from engine.domain.errors import EmsError

if TYPE_CHECKING:
    from engine.analytics.backtest.case import BacktestCase


def run_tournament(arguments: argparse.Namespace, case: BacktestCase) -> int:
    """Find the settings that suit the site, print them, and write them where that is asked for."""
    from datetime import UTC, datetime

    from engine.analytics.backtest.tournament import (
        candidates,
        policy_in_force,
        standing_rows,
        tournament,
    )
    from engine.audit.opening import open_audit
    from engine.audit.trail import NO_TRAIL
    from engine.config.desk import ConfigDesk
    from engine.config.load import FILE_NAME, config_from, read_text, read_yaml
    from engine.runtime.policy_desk import PolicyDesk

    path = site_path(arguments)
    if arguments.accept and path.name != FILE_NAME:
        raise EmsError(
            f"{path.name} is not the file of a site that runs.",
            field="--accept",
            value=str(path),
            hint=f"Give --site as the {FILE_NAME} of the site.",
        )
    # Opened before hours of calculation: what cannot be taken down is not begun.
    trail = open_audit(path.parent, arguments.audit) if arguments.accept else NO_TRAIL
    planning = config_from(read_yaml(read_text(path), str(path)), str(path)).planning
    how = {
        "plan_minutes": arguments.plan_minutes or 60,
        "horizon_hours": arguments.horizon_hours,
    }
    forecaster = forecaster_of(arguments)
    current = policy_in_force(
        planning, has_demand_charge=has_demand_charge(case), forecaster=forecaster, **how
    )
    line = ProgressLine()
    found = tournament(case, candidates(forecaster, **how), current, progress=line.progress)
    line.end()
    proposal = found.proposal(case, datetime.now(UTC))
    document = {
        "standings": standing_rows(found),
        "perfect_train_eur": found.perfect_train_eur,
        "perfect_test_eur": found.perfect_test_eur,
        "proposal": json.loads(proposal.to_json()),
        "gain_eur": proposal.gain_eur,
        "accepted": False,
    }
    if arguments.accept:
        desk = ConfigDesk(path.parent, now=lambda: datetime.now(UTC))
        policies = PolicyDesk(desk, path.parent, trail=trail)
        policies.propose(proposal)
        policies.accept("command line")
        document["accepted"] = True
    if arguments.json:
        print(json.dumps(document, allow_nan=False))
        return 0
    print(f"{'scenarios':>9}{'reserve':>9}{'PV':>6}{'target':>8}{'saving EUR':>12}{'capture':>9}")
    for row in document["standings"]:
        print(
            f"{row['scenarios']:>9}{row['reserve']:>9g}"
            f"{row['reserve_pv_quantile']:>6g}{row['target_share']:>8g}"
            f"{row['saving_eur']:>12,.2f}{share_text(row['capture']):>9}"
        )
    print(
        f"\nafter {found.split:%Y-%m-%d}, which had no say in the choice: the winner saves "
        f"{proposal.saving_eur:,.2f} EUR (capture {share_text(proposal.capture)}), the settings in "
        f"force {proposal.current_saving_eur:,.2f} EUR ({share_text(proposal.current_capture)})"
    )
    words = ", ".join(f"planning.{key}: {value}" for key, value in proposal.planning().items())
    print(f"{'written' if document['accepted'] else 'proposed'}: {words}")
    return 0
