"""What the battery earned: the meter's ledger, savings, key figures, and how good data are."""
