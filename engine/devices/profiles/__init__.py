"""Profile data: one YAML file per device, named after its key."""
