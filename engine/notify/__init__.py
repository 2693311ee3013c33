"""The engine's own alarms and how people away from the screen hear of them."""
