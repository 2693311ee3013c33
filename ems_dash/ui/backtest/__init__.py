"""The page of backtests: what is asked, how it is doing, what came of it."""
