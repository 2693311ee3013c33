"""Building blocks of the pages: theme, formats, components, figures and view models."""
