"""The whole program with its demo plant, served on loopback once for all tests that ask it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.api_fuzz import served_program
from tests.support.whole_program import Program


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Program]]:
    """Address of the server, and the program behind it; it has a plan."""
    with served_program(tmp_path_factory.mktemp("served")) as served:
        yield served
