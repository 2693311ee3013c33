"""The forecasts page: figures, words and layout, all pure functions."""
