"""What must hold between the fields of a device profile, beyond the type of each."""
