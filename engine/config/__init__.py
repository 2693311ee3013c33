"""Configuration: schema of ``ems.yaml``, loading with clear messages, the commented default."""
