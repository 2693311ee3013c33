"""Change values in the text of an ``ems.yaml`` and leave every other character as it is.

The text is not parsed and dumped again: the places of the values in it are found, and only those
that differ are replaced. Comments, order, blank lines and quotes elsewhere stay.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from engine.config.load import read_yaml
from engine.domain.errors import ConfigError

LINE_LENGTH: Final = 92
"""Lists and mappings that fit into such a line are written in one."""

INDENT: Final = 2

Edit = tuple[int, int, str]
"""Replace ``text[start:end]`` by a text."""


def plain(value: Any) -> Any:
    """Return `value` as JSON has it: keys as text, days in ISO form, mappings and lists alone."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return value


def edited(text: str, values: Mapping[str, Any]) -> str:
    """Return `text` with `values` in place of what it holds.

    Args:
        text: A valid ``ems.yaml``; may be empty.
        values: Everything it should hold, as from `plain`. A key that is absent is removed.

    Raises:
        ConfigProblems: `text` is no YAML.
        ConfigError: It is written in a way that cannot be changed from here (anchors).
    """
    old = plain(read_yaml(text))
    new = plain(values)
    if _is_same(old, new):
        return text
    root = YAML(typ="safe", pure=True).compose(text)
    changed = _Editor(text).changed(root, old, new)
    if plain(read_yaml(changed)) != new:
        raise ConfigError(
            "The file is written in a way that cannot be changed from here.",
            field="ems.yaml",
            hint="Edit it by hand; anchors, aliases and several documents are not supported.",
        )
    return changed


class _Editor:
    def __init__(self, text: str) -> None:
        self._text = text
        self._edits: list[Edit] = []

    def changed(self, root: Node | None, old: Any, new: Any) -> str:
        text = self._text
        if not isinstance(root, MappingNode) or not root.value:
            kept = "" if isinstance(root, MappingNode) else text
            if kept and not kept.endswith("\n"):
                kept += "\n"
            return kept + "\n".join(_block(new, 0)) + "\n" if new else text
        self._mapping(root, old, new, top=True)
        # What is put in at one place stands in the order in which it was noted.
        in_order = sorted(self._edits, key=lambda edit: edit[:2])
        for start, end, replacement in reversed(in_order):
            text = text[:start] + replacement + text[end:]
        return text

    # What differs.

    def _value(self, node: Node, old: Any, new: Any, after: int, indent: int) -> None:
        """Note the edits of a value that stands after position `after` (of ``:`` or ``-``)."""
        if _is_same(old, new):
            return
        if isinstance(node, MappingNode) and isinstance(new, Mapping) and node.value and new:
            self._mapping(node, old, new)
        elif isinstance(node, SequenceNode) and isinstance(new, list) and node.value and new:
            self._sequence(node, old, new, after, indent)
        else:
            self._replace(node, new, after, indent)

    def _mapping(self, node: MappingNode, old: Any, new: Any, *, top: bool = False) -> None:
        present = {str(key.value) for key, _ in node.value}
        gone = present - new.keys()
        added = {key: value for key, value in new.items() if key not in present}
        if node.flow_style and gone:
            self._edits.append((node.start_mark.index, node.end_mark.index, _flow(new)))
            return
        indent = node.value[0][0].start_mark.column
        for key, value in node.value:
            name = str(key.value)
            if name in gone:
                self._cut(key.start_mark.index, self._end(key, value))
            else:
                after = self._colon(key)
                self._value(value, old[name], new[name], after, indent)
        if not added:
            return
        last = self._end(*node.value[-1])
        if node.flow_style:
            words = "".join(f", {_flow(k)}: {_flow(v)}" for k, v in added.items())
            self._edits.append((last, last, words))
        else:
            gap = [""] if top else []
            lines = [line for k, v in added.items() for line in (*gap, *_entry(k, v, indent))]
            self._insert_lines(last, lines)

    def _sequence(
        self, node: SequenceNode, old: list[Any], new: list[Any], after: int, indent: int
    ) -> None:
        if node.flow_style:
            if len(old) != len(new):
                self._replace(node, new, after, indent)
                return
            for item, before, now in zip(node.value, old, new, strict=True):
                self._value(item, before, now, item.start_mark.index, indent)
            return
        first, last = _same_ends(old, new)
        middle_old, middle_new = old[first : len(old) - last], new[first : len(new) - last]
        column = node.start_mark.column
        shared = min(len(middle_old), len(middle_new))
        for i in range(shared):
            item = node.value[first + i]
            self._value(item, middle_old[i], middle_new[i], item.start_mark.index, column + INDENT)
        for item in node.value[first + shared : first + len(middle_old)]:
            self._cut(self._dash(item), self._end_of(item))
        more = middle_new[shared:]
        if more:
            lines = [line for item in more for line in _item(item, column)]
            at = first + shared
            if at == 0:
                start = self._line_start(self._dash(node.value[0]))
                self._edits.append((start, start, "".join(f"{line}\n" for line in lines)))
            else:
                self._insert_lines(self._end_of(node.value[at - 1]), lines)

    # How it is written.

    def _replace(self, node: Node, new: Any, after: int, indent: int) -> None:
        start, end = node.start_mark.index, self._end_of(node)
        inline = _flow(new)
        is_block = isinstance(node, CollectionNode) and not node.flow_style
        if isinstance(node, ScalarNode) and end <= start:
            # Nothing stands there.
            start = end = after
            inline = f" {inline}"
        elif is_block and start > after:
            start = after
            inline = f" {inline}"
        fits = len(inline) + indent <= LINE_LENGTH
        if fits or not isinstance(new, (dict, list)) or not new or self._is_in_flow(after, end):
            self._edits.append((start, end, inline))
            return
        # The block goes below, a remark on this line stays on it.
        while start > after and self._text[start - 1] == " ":
            start -= 1
        self._edits.append((start, end, ""))
        self._insert_lines(end, _block(new, indent + INDENT))

    def _is_in_flow(self, after: int, end: int) -> bool:
        line_end = self._line_end(end)
        rest = self._text[end:line_end].split("#", 1)[0].strip()
        return bool(rest) or self._text[after - 1 : after] != ":"

    def _insert_lines(self, position: int, lines: Sequence[str]) -> None:
        at = self._line_end(position)
        self._edits.append((at, at, "".join(f"\n{line}" for line in lines)))

    def _cut(self, start: int, end: int) -> None:
        start = self._line_start(start)
        end = min(self._line_end(end) + 1, len(self._text))
        self._edits.append((start, end, ""))

    # Where it stands.

    def _end(self, key: Node, value: Node) -> int:
        return max(self._end_of(value), self._colon(key))

    def _end_of(self, node: Node) -> int:
        if not isinstance(node, CollectionNode) or node.flow_style or not node.value:
            end = int(node.end_mark.index)
            # A text of several lines ends where the next key begins.
            while end > node.start_mark.index and self._text[end - 1] in " \t\r\n":
                end -= 1
            return end
        last = node.value[-1]
        return self._end(*last) if isinstance(node, MappingNode) else self._end_of(last)

    def _colon(self, key: Node) -> int:
        return self._text.index(":", key.end_mark.index) + 1

    def _dash(self, item: Node) -> int:
        return self._text.rindex("-", 0, item.start_mark.index + (item.value == ""))

    def _line_start(self, position: int) -> int:
        return self._text.rfind("\n", 0, position) + 1

    def _line_end(self, position: int) -> int:
        found = self._text.find("\n", position)
        return len(self._text) if found < 0 else found


def _is_same(old: Any, new: Any) -> bool:
    """Return True when two values mean the same in a file: 90.0 and 90 do, 1 and true do not."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_is_same(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_is_same, old, new))
    return bool(old == new) and isinstance(old, bool) == isinstance(new, bool)


def _same_ends(old: list[Any], new: list[Any]) -> tuple[int, int]:
    """Return how many items are the same from the front, and from the back."""
    shorter = min(len(old), len(new))
    first = 0
    while first < shorter and _is_same(old[first], new[first]):
        first += 1
    last = 0
    while last < shorter - first and _is_same(old[-1 - last], new[-1 - last]):
        last += 1
    # Equal lengths are changed item by item, so that their remarks stay.
    return first, last


def _flow(value: Any) -> str:
    """Return `value` in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow(k)}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    out = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = True
    yaml.width = 1_000_000
    # In a list, because a scalar alone would be followed by the mark of a document's end.
    yaml.dump([value], out)
    written = out.getvalue().strip()[1:-1]
    if isinstance(value, str) and written == value and value[:1] in ("?", ":"):
        # ruamel.yaml writes these without quotes, and cannot read them as a key or in braces.
        return "'" + value.replace("'", "''") + "'"
    return written


def _entry(key: str, value: Any, indent: int) -> list[str]:
    head = " " * indent + f"{_flow(key)}:"
    line = f"{head} {_flow(value)}"
    if not isinstance(value, (dict, list)) or not value or len(line) <= LINE_LENGTH:
        return [line]
    return [head, *_block(value, indent + INDENT)]


def _item(value: Any, indent: int) -> list[str]:
    line = " " * indent + f"- {_flow(value)}"
    if not isinstance(value, (dict, list)) or not value or len(line) <= LINE_LENGTH:
        return [line]
    first, *rest = _block(value, indent + INDENT)
    return [" " * indent + "- " + first.lstrip(), *rest]


def _block(value: dict[str, Any] | list[Any], indent: int) -> list[str]:
    if isinstance(value, dict):
        return [line for key, item in value.items() for line in _entry(key, item, indent)]
    return [line for item in value for line in _item(item, indent)]
