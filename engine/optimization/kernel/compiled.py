"""The compiler of the kernel's inner loops, with a cache that notices every edit.

numba's own cache looks at the file of the function it keeps. A change in a function that this
one calls, in another file, goes unnoticed and old code runs on (optimisation notes, section
2b). Here all modules with compiled functions share one cache directory named by the hash of all of
them and of numba's version, so an edit in any of them compiles everything anew.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_log = logging.getLogger(__name__)
_HERE = Path(__file__).resolve().parent


def sources_hash(folder: Path = _HERE) -> str:
    """Return a name for the compiled code of `folder`: another one after any edit of it."""
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(folder.glob("*.py")):
        source = path.read_bytes()
        if b"\n@compiled" in source or path.name == Path(__file__).name:
            digest.update(path.name.encode())
            digest.update(source)
    return digest.hexdigest()[:16]


def _cache_directory() -> Path | None:
    """Return a directory that can be written to, or None: then each process compiles."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    for root in (_HERE / "__pycache__", Path(home) / "ems-dash"):
        directory = root / f"kernel-{sources_hash()}"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            probe = directory / f".probe-{os.getpid()}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError:
            continue
        return directory
    _log.warning("no directory for compiled code can be written; every start compiles anew")
    return None


_DIRECTORY = _cache_directory()


def compiled(function: FunctionT) -> FunctionT:
    """Return `function` compiled by numba at its first call, without holding the GIL.

    Floating point stays strict (no reassociation): results do not depend on the processor.
    """
    settings: Any = numba.config
    before = settings.CACHE_DIR
    settings.CACHE_DIR = "" if _DIRECTORY is None else str(_DIRECTORY)
    try:
        dispatcher: Any = numba.njit(cache=_DIRECTORY is not None, nogil=True, error_model="numpy")(
            function
        )
    finally:
        settings.CACHE_DIR = before
    result: FunctionT = dispatcher
    return result
