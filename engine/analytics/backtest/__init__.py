"""Backtest lab: what a battery would have earned in a past period, without looking ahead.

A `BacktestCase` (`case`) is a site with its tariff and recorded series; a `Policy` (`policy`)
is a way to run the battery. `evaluate` replays one, `compare` several against the same
baseline and the same perfect foresight (`evaluate`). Both are pure: the same case and policy
give the same answer, so results may be kept by their content keys.
"""
