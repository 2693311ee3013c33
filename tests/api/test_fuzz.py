"""Requests made from the API document: nothing is answered otherwise than it says.

Short here; ``make fuzz`` asks for longer.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.support.api_fuzz import SENDERS, fuzz
from tests.support.login import bearer
from tests.support.whole_program import Program

# Nobody and the other roles are asked route by route in test_role_matrix, and by `make fuzz`.
SENDERS_HERE = ("operator",)


@pytest.fixture
def url(served: tuple[str, Program]) -> Iterator[str]:
    logging.disable(logging.ERROR)
    yield served[0]
    logging.disable(logging.NOTSET)


@pytest.fixture
def document(url: str) -> dict[str, Any]:
    answer = requests.get(f"{url}/api/openapi.json", headers=bearer(), timeout=30)
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("sender", SENDERS_HERE)
def test_every_answer_is_as_documented(url: str, document: dict[str, Any], sender: str) -> None:
    report = fuzz(url, document, SENDERS[sender], examples=1, seed=7)
    sys.stdout.write(f"{report.cases} cases as {sender}: {dict(sorted(report.statuses.items()))}\n")
    assert report.wrong == {}
    assert report.cases >= sum(len(methods) for methods in document["paths"].values())
