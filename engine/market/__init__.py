"""Prices and tariffs: what a kWh costs and earns, when, and who says so."""
