"""XML from outside, read without ever following what a document type may ask for."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

from engine.fetching.http import invalid


def parse_xml(body: bytes) -> ElementTree.Element:
    """Return the root element of an XML document without a document type.

    A first pass stops at the first declaration of a document type or entity, before anything
    in it is expanded: that keeps out entity bombs and external references whatever the encoding.

    Raises:
        FetchError: When it is no XML or declares a document type or an entity.
    """

    def refuse(*_: Any) -> int:
        raise invalid("The XML declares a document type or an entity; such replies are refused.")

    scanner = expat.ParserCreate()
    scanner.StartDoctypeDeclHandler = refuse
    scanner.EntityDeclHandler = refuse
    scanner.ExternalEntityRefHandler = refuse
    try:
        scanner.Parse(body, True)
        # What could explode was refused above.
        return ElementTree.fromstring(body)  # nosec B314
    except (expat.ExpatError, ElementTree.ParseError, ValueError) as error:
        raise invalid(f"The reply is no XML: {error}.") from error


def local_name(element: ElementTree.Element) -> str:
    """Return the tag without its namespace."""
    return element.tag.rpartition("}")[2]


def children(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    """Return the direct children called `name`, whatever their namespace."""
    return [c for c in element if isinstance(c.tag, str) and local_name(c) == name]


def text_at(element: ElementTree.Element, *path: str) -> str | None:
    """Return the stripped text of the first element along `path`, or None."""
    for name in path:
        found = children(element, name)
        if not found:
            return None
        element = found[0]
    return (element.text or "").strip() or None
