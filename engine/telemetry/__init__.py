"""From device samples to one frozen process image, and minute means for the pages."""
