"""Planning: one exact co-optimised model, its independent check, and its explanation."""
