"""Keeps HiGHS from writing its banner to standard output, where answers in JSON go."""

from __future__ import annotations

from functools import cache
from typing import Any

import highspy


@cache
def silence_highs() -> None:
    """Use up the banner HiGHS logs once per process, with its console log off.

    `highspy.Highs` logs it while registering callbacks, before any option can be set;
    its base class does not.
    """
    base: Any = highspy.Highs.__base__
    silent = base()
    silent.setOptionValue("log_to_console", False)
    silent.passModel(highspy.HighsModel())
