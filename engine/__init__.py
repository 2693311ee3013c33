"""The engine of EMS Dash: everything that also runs without a browser."""
