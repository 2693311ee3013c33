"""Limits and the setpoint law between two plans."""
