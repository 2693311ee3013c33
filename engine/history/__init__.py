"""History: what happened, kept in one DuckDB file and written by one thread.

The rest of the engine sees `store.HistoryStore` (read and write) and
`writer.HistoryWriter` (never blocks, never raises). Everything DuckDB-specific
stays behind `duckdb_store.DuckDbHistory`.
"""
