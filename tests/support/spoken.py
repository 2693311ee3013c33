"""Sentences in the engine's code, and whether their German has English words left."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

Parts = tuple[str | None, ...]
"""A sentence; None is a gap that is filled when it is said."""

_WORD = re.compile(r"(?<![\w./])(?![A-Z]+\b)[A-Za-z]{2,}(?![\w/]|\.\w)")
"""A word; what has capitals only is an abbreviation."""
_SAME = (
    "in an was so modbus unit id code test kw kwh min port firewalls firmware gateway "
    "register name lightgbm prophet median regression ridge iso codes"
)
_BOTH = frozenset(_SAME.split())
"""Words that are the same in both languages."""


def english_left(english: str, german: str) -> set[str]:
    """Return the words of an English sentence that its German has, too."""
    there = {word.lower() for word in _WORD.findall(german)}
    return {word.lower() for word in _WORD.findall(english)} & there - _BOTH


def sentences_in(path: Path) -> Iterator[tuple[str, Parts]]:
    """Yield place and parts of everything in a module that reads like a phrase of two words.

    Docstrings are left out, and so are the parts of what is put together.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    passed_over = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FormattedValue)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            passed_over |= {id(part) for part in node.values}
    for node in ast.walk(tree):
        if id(node) in passed_over:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            parts: Parts = (node.value,)
        elif isinstance(node, ast.JoinedStr):
            parts = tuple(
                str(part.value) if isinstance(part, ast.Constant) else None for part in node.values
            )
        else:
            continue
        if re.search(r"[a-z]{2,} .*[a-z]{2,}", "".join(part or "7" for part in parts)):
            yield f"{path.name}:{node.lineno} {ast.unparse(node)}", parts
