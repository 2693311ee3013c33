"""Studies: the same backtest many times over, with one thing changed.

`units` and `run` carry out many backtests, on this machine or on a cluster, and keep what is
done; the other modules say what is varied and what the numbers mean: `sizing`, `side_by_side`,
`limits`, `forecast_quality`, `monte_carlo`. `finance` appraises an investment.
"""
