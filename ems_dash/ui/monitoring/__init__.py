"""The parts of the monitoring page: pure functions from the state of the engine to components."""
