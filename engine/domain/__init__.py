"""Value objects and vocabulary shared by every room of the engine.

Conventions (DESIGN section 2): battery power is positive when discharging,
grid power is positive when importing, PV and load are never negative, and at
the grid connection ``grid_kw = load_kw - pv_kw - battery_kw``. Times are
timezone-aware UTC. Units are part of every name.
"""
