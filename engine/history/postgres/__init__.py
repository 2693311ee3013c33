"""History in PostgreSQL; needs the optional dependency ``psycopg`` (extra ``postgres``)."""
