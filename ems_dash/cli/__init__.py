"""The command line: ``python -m ems_dash COMMAND``."""
