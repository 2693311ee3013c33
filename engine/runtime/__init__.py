"""The running engine: schedule, supervision, heartbeat and clean stop."""
