"""Exports opened with a real office suite, see ``make office-test``."""
