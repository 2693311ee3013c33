"""CSV exports opened by a real LibreOffice Calc, and what it took each cell for.

Part of ``make office-test``, not of ``make test``: the office suite is half a gigabyte.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from engine.history.duckdb_store import DuckDbHistory
from engine.history.export_request import CsvProfile, ExportRequest
from engine.history.export_rows import ExportContext
from engine.history.exporter import stream_export
from engine.history.sql_sandbox import SqlSandbox
from tests.support.history_data import QUARTER, SITE, START, fill

SOFFICE = shutil.which("soffice")
VIENNA = "Europe/Vienna"
SIGNALS = ("buy_eur_per_kwh", "source")

# Separator, text mark, UTF-8, first row, no columns of a given kind, language, quoted as text,
# special numbers: what Calc's dialog proposes to a German and to an English user.
OPENED_AS = {
    CsvProfile.EXCEL_DE: "CSV:59,34,76,1,,1031,true,true",
    CsvProfile.INTERNATIONAL: "CSV:44,34,76,1,,2057,true,true",
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDbHistory]:
    with DuckDbHistory(tmp_path_factory.mktemp("history") / "hot.duckdb") as history:
        fill(history)
        yield history


def opened(store: DuckDbHistory, profile: CsvProfile, folder: Path) -> list[tuple[Any, ...]]:
    """Return the cells of exported prices as Calc keeps them after opening the CSV."""
    assert SOFFICE is not None, "make office-test installs LibreOffice"
    asked = ExportRequest(
        dataset="prices",
        site_id=SITE,
        since=START - timedelta(hours=1),
        until=START + 2 * QUARTER,
        signals=SIGNALS,
        profile=profile,
    )
    about = ExportContext(store, SqlSandbox(store, SITE, VIENNA), VIENNA, "EMS Dash", START)
    source = folder / "prices.csv"
    source.write_bytes(b"".join(stream_export(about, asked)))
    subprocess.run(
        [
            SOFFICE,
            "--headless",
            f"-env:UserInstallation={(folder / 'profile').as_uri()}",
            f"--infilter={OPENED_AS[profile]}",
            "--convert-to",
            "xlsx",
            "--outdir",
            str(folder),
            str(source),
        ],
        check=True,
        capture_output=True,
        timeout=180,
    )
    sheet = openpyxl.load_workbook(folder / "prices.xlsx").worksheets[0]
    return [tuple(cell.value for cell in row) for row in sheet.rows]


def test_a_german_calc_sees_local_times_decimals_and_words(
    store: DuckDbHistory, tmp_path: Path
) -> None:
    heads, first, second = opened(store, CsvProfile.EXCEL_DE, tmp_path)
    assert heads == ("ts_local", "ts_offset", "ts_utc", "buy_eur_per_kwh", "source")
    assert isinstance(first[0], datetime)
    assert [str(row[0]) for row in (first, second)] == [
        "2026-11-23 11:00:00",
        "2026-11-23 11:15:00",
    ]
    assert first[1] == "UTC+01:00"
    assert (first[3], second[3]) == pytest.approx((0.22, 0.23))
    assert first[4] == "recorded"


def test_an_english_calc_sees_numbers_and_words_and_no_other_time(
    store: DuckDbHistory, tmp_path: Path
) -> None:
    heads, first, second = opened(store, CsvProfile.INTERNATIONAL, tmp_path)
    assert heads == ("ts_local", "ts_utc", "buy_eur_per_kwh", "source")
    # ISO 8601 with an offset is no date to Calc: it stays the text it is, whole.
    assert first[:2] == ("2026-11-23T11:00:00+01:00", "2026-11-23T10:00:00Z")
    assert (first[2], second[2]) == pytest.approx((0.22, 0.23))
    assert first[3] == "recorded"
