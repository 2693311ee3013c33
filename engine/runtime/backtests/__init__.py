"""Backtests people ask for while the program runs: one at a time, in a process of its own.

`desk` takes them and tells how they are doing, `request` says what may be asked, `sources` where
the data come from, `folders` how a backtest lies on disk, `work` what its process does.
"""
