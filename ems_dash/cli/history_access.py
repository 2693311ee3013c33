"""The history for commands: the file itself, or the program that has it open."""

from __future__ import annotations

import argparse
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ems_dash.cli.login import headers
from ems_dash.cli.site_choice import add_site
from engine.domain.errors import EmsError, HistoryError

if TYPE_CHECKING:
    from engine.config.schema import Config
    from engine.runtime.history_setup import History

DEFAULT_URL = "http://127.0.0.1:5050"
_CHUNK_BYTES = 1 << 16
_TIMEOUT_S = 330.0


def add_places(command: argparse.ArgumentParser) -> None:
    """Add the options that say where configuration, data and a running program are."""
    command.add_argument(
        "--config", type=Path, default=Path("config"), metavar="DIR", help="folder of ems.yaml"
    )
    command.add_argument(
        "--data", type=Path, default=Path("data"), metavar="DIR", help="folder of the database"
    )
    add_site(command)
    command.add_argument(
        "--url",
        default=DEFAULT_URL,
        help=f"the running program, asked when it has the database open (default {DEFAULT_URL})",
    )


def existing_database(data_dir: Path) -> Path:
    """Return the database file of a data folder.

    Raises:
        HistoryError: There is none.
    """
    from engine.runtime.history_setup import DATABASE_NAME

    path = data_dir.resolve() / DATABASE_NAME
    if not path.exists():
        raise HistoryError(
            f"There is no history in {data_dir}.",
            field="--data",
            value=str(data_dir),
            hint="Name the data folder of an EMS Dash that has run.",
        )
    return path


@contextmanager
def opened_history(config: Config, data_dir: Path) -> Iterator[History]:
    """Open the history of a data folder as the program itself would.

    Raises:
        AlreadyRunningError: A program has it open.
        HistoryError: There is none, or it cannot be opened.
    """
    from engine.runtime.history_setup import DATABASE_NAME, open_history

    if config.history.backend == "postgres":
        path = data_dir.resolve() / DATABASE_NAME
    else:
        path = existing_database(data_dir)
    with open_history(config, path) as store:
        yield store


def parse_moment(text: str, field: str, timezone: str) -> datetime:
    """Return a time given on the command line, UTC; without an offset the site's local time.

    Raises:
        EmsError: It is no time.
    """
    try:
        ts = datetime.fromisoformat(text)
    except ValueError as exc:
        raise EmsError(
            f"'{text}' is no time.",
            field=field,
            value=text,
            hint="Write it like 2026-11-25, 2026-11-25T14:00 or 2026-11-25T14:00+01:00.",
        ) from exc
    if ts.tzinfo is None:
        ts = ts.replace(tzinfo=ZoneInfo(timezone))
    if not 1970 <= ts.year < 9000:
        raise EmsError(f"The year {ts.year} is not possible.", field=field, value=text)
    return ts.astimezone(UTC)


class RunningProgram:
    """The API of a program that runs.

    Args:
        url: Its address, without a path.
        data_dir: Its data folder, which tells it that the command may ask.
    """

    def __init__(self, url: str, data_dir: Path) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise EmsError(
                f"'{url}' is no address.",
                field="--url",
                value=url,
                hint=f"Write it like {DEFAULT_URL}.",
            )
        self._url = url.rstrip("/")
        self._headers = headers(url, data_dir)

    def json(self, path: str, query: Mapping[str, str]) -> Any:
        """Return a JSON answer.

        Raises:
            EmsError: The program does not answer, or refuses; then with its own words.
        """
        with self.answer(path, query) as answer:
            return json.load(answer)

    @contextmanager
    def answer(self, path: str, query: Mapping[str, str]) -> Iterator[http.client.HTTPResponse]:
        """Lend an answer as it comes.

        Raises:
            EmsError: The program does not answer, or refuses; then with its own words.
        """
        address = f"{self._url}{path}?{urllib.parse.urlencode(query)}"
        try:
            # checked to be http in __init__
            request = urllib.request.Request(address, headers=self._headers)
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # nosec B310
                yield answer
        except urllib.error.HTTPError as error:
            raise _refusal(error) from error
        except (OSError, http.client.HTTPException) as error:
            raise HistoryError(
                f"The program at {self._url} does not answer: {error}.",
                field="--url",
                value=self._url,
                hint="Another program has the database open; give its address with --url, "
                "or stop it.",
            ) from error


def chunks_of(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield the body of an answer.

    Raises:
        HistoryError: The connection ended before the answer did.
    """
    try:
        while chunk := answer.read(_CHUNK_BYTES):
            yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise HistoryError(
            "The program ended the answer before it was complete.",
            hint="See its log; try again, or ask for a shorter period.",
        ) from error


def _refusal(error: urllib.error.HTTPError) -> EmsError:
    try:
        body = json.load(error)["error"]
        return EmsError(body["message"], field=body.get("field"), hint=body.get("hint"))
    except (ValueError, KeyError, TypeError):
        return HistoryError(f"The program answered with the status {error.code}.")
