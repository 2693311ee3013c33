"""Weather forecasts from outside, and PV power computed from them."""
