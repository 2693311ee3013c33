"""Parameters of queries: each describes itself in the API document and reads itself.

What is written once here is what the document says and what a request is held to.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final, Generic, Protocol, TypeVar

from flask import request

from ems_dash.api.answers import InvalidRequestError

_WORD = TypeVar("_WORD", bound=StrEnum)


class Parameter(Protocol):
    """One parameter of a query."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def meaning(self) -> str:
        """What it does, for the document."""
        ...

    @property
    def required(self) -> bool:
        """True when a request must have it."""
        ...

    def schema(self) -> dict[str, Any]:
        """Return what its text must look like, as JSON Schema."""
        ...

    def read(self) -> Any:
        """Return its value in the current request.

        Raises:
            InvalidRequestError: It is not as `schema` says.
        """
        ...


@dataclass(frozen=True, slots=True)
class WholeNumber:
    """A whole number from `least` to `most`; a `default` outside stands for none."""

    name: str
    default: int
    least: int
    most: int
    meaning: str
    required: bool = False

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        found = {"type": "integer", "minimum": self.least, "maximum": self.most}
        usual = self.least <= self.default <= self.most
        return found | ({"default": self.default} if usual else {})

    def read(self) -> int:
        """Return it.

        Raises:
            InvalidRequestError: Not a whole number, or outside its range.
        """
        text = request.args.get(self.name)
        if text is None:
            return self.default
        if (
            text.isascii()
            and text.isdigit()
            and len(text) < 10
            and self.least <= int(text) <= self.most
        ):
            return int(text)
        raise InvalidRequestError(
            f"'{text[:40]}' is not possible here.",
            field=self.name,
            value=text,
            hint=f"Give a whole number from {self.least} to {self.most}.",
        )


@dataclass(frozen=True, slots=True)
class Moment:
    """A time with its offset."""

    name: str
    meaning: str
    required: bool = False

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        return {"type": "string", "format": "date-time"}

    def read(self) -> datetime | None:
        """Return it; None when it is left out.

        Raises:
            InvalidRequestError: No time with its offset, or none from 1970 to 8999.
        """
        text = request.args.get(self.name)
        if text is None:
            return None
        try:
            # a plus sign in an address that was not escaped arrives as a space
            ts = datetime.fromisoformat(
                text.strip().replace(" ", "+") if " " in text[11:] else text
            )
        except ValueError:
            ts = None
        if ts is None or ts.tzinfo is None or not 1970 <= ts.year < 9000:
            raise InvalidRequestError(
                f"'{text[:40]}' is no time with its offset.",
                field=self.name,
                value=text,
                hint="Write it like 2026-11-25T00:00:00+01:00 or 2026-11-24T23:00:00Z.",
            )
        return ts


@dataclass(frozen=True, slots=True)
class Day:
    """A local day of the site."""

    name: str
    meaning: str
    required: bool = False

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        return {"type": "string", "format": "date"}

    def read(self) -> date | None:
        """Return it; None when it is left out.

        Raises:
            InvalidRequestError: No day from 1970 to 8999.
        """
        text = request.args.get(self.name)
        if text is None:
            return None
        try:
            day = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone
        except ValueError:
            day = None
        if day is None or not 1970 <= day.year < 9000:
            raise InvalidRequestError(
                f"'{text[:40]}' is no day.",
                field=self.name,
                value=text,
                hint="Write it like 2026-11-25.",
            )
        return day


@dataclass(frozen=True, slots=True)
class Word(Generic[_WORD]):
    """One of the words of an enumeration."""

    name: str
    known: type[_WORD]
    default: _WORD | None
    meaning: str
    required: bool = False

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        found: dict[str, Any] = {"type": "string", "enum": [str(word) for word in self.known]}
        return found if self.default is None else found | {"default": str(self.default)}

    def read(self) -> _WORD | None:
        """Return it, its default when it is left out.

        Raises:
            InvalidRequestError: It is none of the known words.
        """
        text = request.args.get(self.name)
        if text is None:
            return self.default
        try:
            return self.known(text)
        except ValueError:
            raise InvalidRequestError(
                f"'{text[:40]}' is not possible here.",
                field=self.name,
                value=text,
                hint=f"Known: {', '.join(self.known)}.",
            ) from None


@dataclass(frozen=True, slots=True)
class Names:
    """Names with commas between them."""

    name: str
    meaning: str
    required: bool = False

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        return {"type": "string", "examples": ["load_kw,pv_kw"]}

    def read(self) -> tuple[str, ...]:
        """Return them; empty when they are left out."""
        text = request.args.get(self.name, "")
        return tuple(name.strip() for name in text.split(",") if name.strip())


@dataclass(frozen=True, slots=True)
class Text:
    """A text, `known` when only these are possible (the route says what is wrong with others)."""

    name: str
    meaning: str
    known: tuple[str, ...] = ()
    required: bool = False

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema."""
        return {"type": "string"} | ({"enum": list(self.known)} if self.known else {})

    def read(self) -> str | None:
        """Return it; None when it is left out."""
        return request.args.get(self.name)


SITE: Final = Text("site", "Id of the site; left out, the first of the installation.")


def check_query(known: tuple[Parameter, ...]) -> None:
    """Refuse a query that is not made of `known` parameters as they must be, each once.

    Also those that the answer would not depend on this time: a mistake is always said.

    Raises:
        InvalidRequestError: A parameter is not known, given twice, or not possible.
    """
    names = [parameter.name for parameter in known]
    for name, texts in request.args.lists():
        if name not in names:
            raise InvalidRequestError(
                f"There is no parameter '{name[:40]}' here.",
                field=name[:40],
                hint=f"Known: {', '.join(names)}." if names else "This route takes none.",
            )
        if len(texts) > 1:
            raise InvalidRequestError(
                f"{name} is given {len(texts)} times.", field=name, hint="Give it once."
            )
    for parameter in known:
        parameter.read()
