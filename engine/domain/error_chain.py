"""Everything behind an error, for telling what kind of failure it really was."""

from __future__ import annotations

_MOST = 20


def error_chain(error: BaseException | None) -> list[BaseException]:
    """Return `error` and everything behind it, nearest first; at most 20.

    Libraries nest causes in arguments and in ``reason`` too, not only in ``__cause__``.
    """
    found: list[BaseException] = []
    queue = [error]
    while queue and len(found) < _MOST:
        item = queue.pop(0)
        if item is None or any(item is f for f in found):
            continue
        found.append(item)
        nested = [getattr(item, "reason", None), *item.args, item.__cause__, item.__context__]
        queue.extend(n for n in nested if isinstance(n, BaseException))
    return found
