"""Long lists in pages: ``limit`` and ``offset``, and where the next page is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar
from urllib.parse import urlencode

from flask import request

from ems_dash.api.models import Page
from ems_dash.api.parameters import WholeNumber

MOST_ROWS: Final = 5_000

LIMIT: Final = WholeNumber("limit", 1_000, 1, MOST_ROWS, "Most rows of a page.")
OFFSET: Final = WholeNumber("offset", 0, 0, 99_999_999, "Rows to leave out before the page.")
PAGING: Final = (LIMIT, OFFSET)

Row = TypeVar("Row")


def page_of(rows: Sequence[Row]) -> tuple[list[Row], Page]:
    """Return the rows of the page the request asks for, and what is said about it.

    Raises:
        InvalidRequestError: ``limit`` or ``offset`` is not possible.
    """
    limit, offset = LIMIT.read(), OFFSET.read()
    end = offset + limit
    following = None
    if end < len(rows):
        query = request.args.to_dict() | {"limit": str(limit), "offset": str(end)}
        following = f"{request.path}?{urlencode(query)}"
    return list(rows[offset:end]), Page(total=len(rows), next=following)
