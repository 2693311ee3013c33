"""What the battery earned: money booked from meter registers."""
