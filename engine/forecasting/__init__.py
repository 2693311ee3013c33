"""Forecasts of price, load and PV behind one interface."""
