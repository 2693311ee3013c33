"""Strategies: configurations of the one model, their rule-based counterparts, and the choice."""
