"""What the operator is told for as long as the program runs."""

from __future__ import annotations

from engine.config.schema import Config
from engine.domain.snapshot import Notice


def standing_notices(
    config: Config,
    strategy_problem: str | None,
    limits_problem: str | None,
    messages_problem: str | None,
) -> tuple[Notice, ...]:
    """Return the remarks that follow from the configuration and from what was kept.

    Args:
        config: Configuration.
        strategy_problem: Why the stored choice of strategy could not be read, or None.
        limits_problem: Why the stored limits from outside could not be read, or None.
        messages_problem: Why the stored messages could not be read, or None.
    """
    notices = []
    if config.prices.demo_mode:
        notices.append(Notice("recorded_prices"))
    if config.demo:
        notices.append(Notice("demo_plant"))
    if config.ems.mode == "monitor":
        notices.append(Notice("monitor_mode", "warning"))
    if strategy_problem is not None:
        notices.append(Notice("strategy_forgotten", "warning", strategy_problem))
    if limits_problem is not None:
        notices.append(Notice("limits_forgotten", "alarm", limits_problem))
    if messages_problem is not None:
        notices.append(Notice("messages_forgotten", "warning", messages_problem))
    return tuple(notices)
