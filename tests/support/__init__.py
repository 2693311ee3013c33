"""Builders of domain objects for tests."""
