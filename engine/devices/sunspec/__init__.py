"""SunSpec: models as data, discovery by walking them, and the profile that results."""
