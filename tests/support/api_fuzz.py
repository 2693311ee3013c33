"""Requests made from the API document, right ones and wrong ones, against a real server.

The server is the whole program with its engine in this process; only its streams of events are
cut short, and its rate limits are out of reach.
"""

from __future__ import annotations

import copy
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from werkzeug.serving import make_server

import ems_dash.api.event_routes
import ems_dash.api.install
from ems_dash.api.event_hub import EventHub
from ems_dash.api.rate_limits import install_rate_limits
from ems_dash.auth.roles import Role
from tests.support.build import SIMPLE_MODELS
from tests.support.login import bearer
from tests.support.whole_program import Program, build

CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
"""`positive_data_acceptance` is not among them: a schema cannot say that a period must end after
it begins, and such a request is rightly refused."""

SENDERS: Final[dict[str, Role | None]] = {"nobody": None, **{role.value: role for role in Role}}

PLAUSIBLE: Final[dict[str, tuple[str, ...]]] = {
    "site": ("site-1",),
    "signals": ("load_kw", "load_kw,pv_kw", "price:buy_eur_per_kwh,grid_kw", "soc_percent"),
    "from": ("2026-11-25T00:00:00Z", "2026-11-26T00:00:00+01:00"),
    "to": ("2026-11-27T00:00:00Z", "2026-12-01T00:00:00+01:00"),
    "since": ("2026-11-01", "2026-11-20"),
    "until": ("2026-11-25", "2026-11-29"),
    "sql": ("SELECT count(*) FROM samples", "SELECT * FROM events ORDER BY ts LIMIT 5"),
    "kinds": ("state", "plan,alarm", "alarm"),
    "profile": ("international", "excel_de", "hithium_ess_5016"),
    "name": ("viewer", "load.csv"),
    "dataset": ("samples", "series", "events", "ledger", "sql"),
    "signal": ("load_kw", "pv_kw", "spot_eur_per_kwh"),
}
"""Texts that mean something, by the name of the parameter."""

# Documented, and right when the part behind it is away: no broker runs here.
_UNAVAILABLE: Final = 503


@dataclass
class Report:
    """What came of it: cases, answers by status, and what was wrong by operation."""

    cases: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: dict[str, list[str]] = field(default_factory=dict)
    per_operation: Counter[str] = field(default_factory=Counter)


@contextmanager
def served_program(folder: Path) -> Iterator[tuple[str, Program]]:
    """Serve the whole program in `folder` on loopback; yields its address once it has a plan."""
    short = partial(EventHub, longest_s=0.05, heartbeat_s=0.05, look_s=0.05)
    loose = partial(install_rate_limits, questions="9999999 per hour", changes="9999999 per hour")
    with pytest.MonkeyPatch.context() as patch:
        # As long as the program is served: the hub is made when somebody first listens.
        patch.setattr(ems_dash.api.event_routes, "EventHub", short)
        patch.setattr(ems_dash.api.install, "install_rate_limits", loose)
        program = build(folder, SIMPLE_MODELS)
        program.engine.start()
        server = make_server("127.0.0.1", 0, program.server, threaded=True)
        thread = threading.Thread(target=server.serve_forever, name="fuzzed", daemon=True)
        thread.start()
        try:
            until = time.monotonic() + 120.0
            while program.engine.snapshot().plan is None and time.monotonic() < until:
                time.sleep(0.05)
            program.engine._parts.history.flush()
            yield f"http://127.0.0.1:{server.server_port}", program
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
            program.stop()


def fuzz(
    url: str,
    document: dict[str, Any],
    role: Role | None,
    *,
    examples: int,
    seed: int,
    only: str = "",
) -> Report:
    """Send requests made from `document` and hold the answers to it.

    Args:
        url: Address of the server.
        document: The API document.
        role: Role of the sender; None for one nobody knows.
        examples: Right requests per operation, and as many wrong ones.
        seed: Of the random numbers.
        only: Only operations whose path holds this text.
    """
    report = Report()
    headers = {} if role is None else bearer(role)
    session = requests.Session()
    for mode, said in (
        (GenerationMode.POSITIVE, plausible(document)),
        (GenerationMode.NEGATIVE, document),
    ):
        for result in schemathesis.openapi.from_dict(said).get_all_operations():
            operation = result.ok()
            if only in operation.path:
                _fuzz_one(url, operation, mode, headers, session, report, examples, seed)
    return report


def plausible(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with texts that mean something, so that right requests get answers.

    A schema only says that a site, a series or a statement is a text.
    """
    found: dict[str, Any] = copy.deepcopy(document)
    for operations in found["paths"].values():
        for operation in operations.values():
            for parameter in operation["parameters"]:
                if parameter["name"] in PLAUSIBLE:
                    parameter["schema"] = {"enum": list(PLAUSIBLE[parameter["name"]])}
    statement = found["components"]["schemas"]["SqlRequest"]["properties"]["sql"]
    statement["enum"] = list(PLAUSIBLE["sql"])
    return found


def _fuzz_one(
    url: str,
    operation: Any,
    mode: GenerationMode,
    headers: dict[str, str],
    session: requests.Session,
    report: Report,
    examples: int,
    seed: int,
) -> None:
    name = f"{operation.method.upper()} {operation.path}"

    @seeded(seed)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Case) -> None:
        case.headers.pop("Authorization", None)
        # not by case.call: for streams of events it needs a newer urllib3 than the browser tests
        sent = case.as_transport_kwargs(base_url=url, headers=headers)
        answer = session.request(**sent, timeout=60)
        report.cases += 1
        report.per_operation[name] += 1
        report.statuses[answer.status_code] += 1
        checks = list(CHECKS)
        if not headers:
            # Whoever is not known is told only that, however right or wrong he asks.
            checks.remove(negative_data_rejection)
        if answer.status_code == _UNAVAILABLE:
            checks.remove(not_a_server_error)
        try:
            case.validate_response(answer, checks=checks)
        except FailureGroup as group:
            for failure in group.exceptions:
                told = f"{type(failure).__name__}: {failure}".replace("\n", " ")[:300]
                asked = f"{answer.request.method} {answer.request.url} {answer.request.body!r}"
                found = report.wrong.setdefault(name, [])
                if len(found) < 5:
                    found.append(
                        f"{told}\n    {asked[:300]}\n    {answer.status_code} "
                        f"{answer.content[:200]!r}"
                    )

    try:
        ask()
    except schemathesis.errors.InvalidSchema as exc:
        report.wrong.setdefault(name, []).append(str(exc))
    except Exception as exc:
        if type(exc).__name__ != "Unsatisfiable":
            raise
