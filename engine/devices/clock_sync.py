"""Whether this machine's clock follows a time source."""

from __future__ import annotations

import ctypes
import ctypes.util
import logging
import sys

log = logging.getLogger(__name__)

_TIME_ERROR = 5
"""State "clock not synchronised" of adjtimex(2)."""

_STRUCT_BYTES = 512
"""More than any `struct timex` of Linux takes."""


def system_clock_synchronised() -> bool:
    """Return True when the kernel says that a time service keeps its clock right (adjtimex(2)).

    False where that cannot be found out, for example outside Linux.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
    # All zero asks for the state and changes nothing.
    state = int(library.adjtimex(ctypes.create_string_buffer(_STRUCT_BYTES)))
    if state < 0:
        log.info("adjtimex failed with errno %d", ctypes.get_errno())
        return False
    return state != _TIME_ERROR
