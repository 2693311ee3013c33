"""What every answer tells the browser."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator

import pytest

from tests.support.whole_program import Program, build

PATHS = ("/", "/monitoring", "/settings", "/api/state", "/api/nope", "/healthz", "/assets/ems.css")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    made = build(tmp_path_factory.mktemp("headers"))
    yield made
    made.stop()


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_carries_them(program: Program, path: str) -> None:
    headers = program.ask("GET", path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "unsafe-eval" not in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/", "/analytics"])
def test_every_inline_script_of_a_page_is_allowed_by_its_hash(program: Program, path: str) -> None:
    answer = program.ask("GET", path)
    policy = answer.headers["Content-Security-Policy"]
    scripts = re.search(r"script-src ([^;]+);", policy)
    assert scripts is not None
    assert "'unsafe-inline'" not in scripts[1]
    page = answer.get_data(as_text=True)
    inline = re.findall(
        r"<script(?![^>]*\b(?:src|application/json))[^>]*>(.*?)</script>", page, re.S
    )
    assert inline
    for script in inline:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in scripts[1]


def test_only_files_with_a_changing_address_are_kept(program: Program) -> None:
    for path in ("/", "/api/state", "/api/nope", "/healthz", "/_dash-layout"):
        assert program.ask("GET", path).headers["Cache-Control"] == "no-store", path
    assert program.ask("GET", "/assets/ems.css").headers.get("Cache-Control") != "no-store"


def test_https_is_remembered_only_where_it_is_used(program: Program) -> None:
    assert "Strict-Transport-Security" not in program.ask("GET", "/healthz").headers
    secure = program.ask("GET", "/healthz", base_url="https://localhost")
    assert secure.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_a_forwarded_header_is_not_believed_without_a_proxy(program: Program) -> None:
    forged = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
    program.ask("POST", "/api/plan", headers=forged)
    assert program.audit("plan.request")[0].address == "127.0.0.1"
    answer = program.ask("GET", "/healthz", headers=forged)
    assert "Strict-Transport-Security" not in answer.headers


@pytest.mark.parametrize(
    "path", ["/api/config", "/api/strategy", "/api/sql", "/api/alarms/ack", "/api/plan"]
)
def test_a_body_without_end_is_refused(program: Program, path: str) -> None:
    answer = program.ask("POST", path, data=b"[" * 1_100_000, content_type="application/json")
    assert answer.status_code in (400, 413) or path == "/api/plan"
    assert answer.is_json
