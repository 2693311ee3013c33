"""The compiler of the kernel's inner loops, with a cache that notices every edit.

numba's own cache looks at the file of the function it keeps. A change in a function that this
one calls, in another file, goes unnoticed and old code runs on (optimisation notes, section
2b). Here all modules with compiled functions share one cache directory named by the hash of all of
them and of numba's version, so an edit in any of them compiles everything anew.

The directory lies in the virtual environment, so that every process and every checkout that uses
it compiles once; one process compiles while the others wait (`compiling_alone`).
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core.caching import _CacheLocator
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
    roots = [_HERE / "__pycache__", Path(home) / "ems-dash"]
    if sys.prefix != sys.base_prefix:
        roots.insert(0, Path(sys.prefix) / ".cache" / "ems-dash")
    for root in roots:
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


def is_kept() -> bool:
    """Return whether what is compiled is there for other processes."""
    return _DIRECTORY is not None


class KernelLocator(_CacheLocator):
    """Tells numba where compiled functions are kept: all in `_DIRECTORY`, whatever the checkout."""

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> KernelLocator:
        """Return a locator; the name of the directory stands for every source."""
        return cls()

    def get_cache_path(self) -> str:
        """Return the directory."""
        return str(_DIRECTORY)

    def get_source_stamp(self) -> str:
        """Return the same for all: a directory never holds two states of the sources."""
        return "named by hash"

    def get_disambiguator(self) -> str:
        """Return nothing: module, function and line make names different already."""
        return ""


@contextmanager
def compiling_alone() -> Iterator[None]:
    """Wait until no other process compiles, and keep others waiting inside the block."""
    if _DIRECTORY is None:
        yield
        return
    with (_DIRECTORY / ".lock").open("w") as lock:
        # given back when the file is closed, also by a process that dies
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def compiled(function: FunctionT) -> FunctionT:
    """Return `function` compiled by numba at its first call, without holding the GIL.

    Floating point stays strict (no reassociation): results do not depend on the processor.
    """
    settings: Any = numba.config
    before = settings.CACHE_LOCATOR_CLASSES
    settings.CACHE_LOCATOR_CLASSES = f"{KernelLocator.__module__}.{KernelLocator.__qualname__}"
    try:
        dispatcher: Any = numba.njit(cache=_DIRECTORY is not None, nogil=True, error_model="numpy")(
            function
        )
    finally:
        settings.CACHE_LOCATOR_CLASSES = before
    result: FunctionT = dispatcher
    return result
