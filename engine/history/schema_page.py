"""``docs/analysis/schema.md`` from the data dictionary.

Write it anew with ``python -m engine.history.schema_page > docs/analysis/schema.md``.
"""

from __future__ import annotations

import sys

from engine.history.dictionary import TableInfo, tables

_HEAD = """\
# Tables for analysts

Generated from `engine/history/dictionary.py`; do not edit. How to ask: [sql.md](sql.md).

Times are UTC; every table with a time has `ts_local` as well, the wall clock of the site.
Battery power is + for discharge, grid power + for import; prices are EUR/kWh. An empty value
was not known. Rows with `state = 'imported'` and prices with `source` `import:...` were read
from a file; `simulated` rows come from simulated devices.
"""


def schema_page() -> str:
    """Return the page as Markdown."""
    return "\n".join([_HEAD, *(_section(table) for table in tables().values())])


def _section(table: TableInfo) -> str:
    rows = [
        f"| `{c.name}` | {c.sql_type} | {c.unit} | {c.meaning.replace('|', '/')} |"
        for c in table.columns
    ]
    return "\n".join(
        [
            f"## {table.name}",
            "",
            f"{table.meaning}.",
            "",
            "| Column | Type | Unit | Meaning |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    sys.stdout.write(schema_page())
