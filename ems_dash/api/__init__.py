"""REST API: JSON routes under ``/api`` and the health check."""
