"""The audit log: who changed what, when and from where; its files show when they were altered."""
