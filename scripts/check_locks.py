"""Check the locked requirements: pinned with hashes, from no named host, installed, licensed.

``python -m scripts.check_locks`` is part of ``make lint``; with ``--sbom FILE`` it also writes
what the program is made of as CycloneDX 1.6 JSON.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

from packaging.markers import Marker

ROOT: Final = Path(__file__).resolve().parents[1]
LOCKS: Final = ("runtime.txt", "test.txt")

LICENCES: Final = frozenset(
    {
        *("Apache-2.0", "Apache 2.0", "Apache Software License", "LLVM-exception"),
        *("BSD License", "BSD-2-Clause", "BSD-3-Clause", "0BSD"),
        *("MIT", "MIT License", "MIT-0", "MIT-CMU", "ISC", "Zlib", "CC0-1.0", "Unlicense"),
        *("PSF-2.0", "Python Software Foundation License"),
        # Weak copyleft of single files, used as they are and never copied into this program.
        *("MPL-2.0", "Mozilla Public License 2.0 (MPL 2.0)"),
        # paho-mqtt is offered under either; the second is the one taken.
        "EPL-2.0 OR BSD-3-Clause",
    }
)
"""Licences whose packages may stand beside a program under Apache-2.0."""

_PIN = re.compile(r"([A-Za-z0-9][\w.-]*)(?:\[[\w,-]+\])?==([^\s;\\]+)(?:\s*;\s*([^\\]+))?\s*(\\?)")
_HASH = re.compile(r"\s+--hash=sha256:([0-9a-f]{64})\s*\\?")
_PRIVATE = re.compile(
    r"(?i)--?(extra-)?index-url|--find-links|--trusted-host|https?://|git\+|file:|@ "
)


@dataclass(frozen=True, slots=True)
class Pin:
    """One locked package.

    Attributes:
        name: Its name.
        version: Its version.
        marker: Where it is wanted; empty for everywhere.
        hashes: SHA-256 of the files that may be installed.
    """

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    @property
    def is_wanted_here(self) -> bool:
        """True when the marker holds for this interpreter."""
        return not self.marker or Marker(self.marker).evaluate()


def read_pins(text: str) -> tuple[list[Pin], list[str]]:
    """Return the pins of a lock and what is wrong with it.

    Args:
        text: Content of a requirements file as ``uv pip compile --generate-hashes`` writes it.
    """
    pins: list[Pin] = []
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#") or not line.strip():
            continue
        if _PRIVATE.search(line):
            problems.append(f"line {number} names a host, an index or a path: {line.strip()[:60]}")
        elif (found := _HASH.fullmatch(line)) is not None and pins:
            last = pins[-1]
            pins[-1] = Pin(last.name, last.version, last.marker, (*last.hashes, found[1]))
        elif (pin := _PIN.fullmatch(line)) is not None:
            pins.append(Pin(pin[1].lower(), pin[2], (pin[3] or "").strip(), ()))
        else:
            problems.append(f"line {number} is no pinned package: {line.strip()[:60]}")
    problems += [f"{pin.name} has no hash" for pin in pins if not pin.hashes]
    return pins, problems


def installed_problems(pins: Sequence[Pin], others: Sequence[Pin] = ()) -> Iterator[str]:
    """Yield where what is installed is not what is locked.

    Args:
        pins: What must be installed.
        others: Another lock whose versions will do too, for an environment that holds both.
    """
    also = {(pin.name, pin.version) for pin in others}
    for pin in pins:
        if not pin.is_wanted_here:
            continue
        try:
            version = distribution(pin.name).version
        except PackageNotFoundError:
            yield f"{pin.name} {pin.version} is locked but not installed"
            continue
        if version != pin.version and (pin.name, version) not in also:
            yield f"{pin.name} {version} is installed, {pin.version} is locked"


def licence_of(package: Distribution) -> str:
    """Return the licence a package states, empty when it states none."""
    metadata = package.metadata
    stated = metadata.get("License-Expression")
    if stated:
        return str(stated)
    classifiers = [
        text.rpartition(" :: ")[2]
        for text in metadata.get_all("Classifier") or []
        if text.startswith("License ::")
    ]
    if classifiers:
        return " AND ".join(classifiers)
    return str(metadata.get("License") or "").splitlines()[0] if metadata.get("License") else ""


def is_compatible(licence: str) -> bool:
    """Return True when every part of a licence expression may stand beside Apache-2.0."""
    if licence in LICENCES:
        return True
    parts = re.split(r"\s+(?:AND|WITH)\s+|[()]", licence)
    return bool(licence) and all(
        any(choice.strip() in LICENCES for choice in part.split(" OR "))
        for part in parts
        if part.strip()
    )


def licence_problems(pins: Sequence[Pin]) -> Iterator[str]:
    """Yield packages whose licence is none of `LICENCES`."""
    for pin in pins:
        try:
            licence = licence_of(distribution(pin.name))
        except PackageNotFoundError:
            continue
        if not is_compatible(licence):
            yield f"{pin.name} has the licence '{licence or 'none stated'}'"


def bill_of_materials(pins: Sequence[Pin]) -> dict[str, Any]:
    """Return the locked packages as CycloneDX 1.6 (ECMA-424)."""
    components = []
    for pin in pins:
        component: dict[str, Any] = {
            "type": "library",
            "name": pin.name,
            "version": pin.version,
            "purl": f"pkg:pypi/{pin.name}@{pin.version}",
        }
        try:
            licence = licence_of(distribution(pin.name))
        except PackageNotFoundError:
            licence = ""
        if licence:
            component["licenses"] = [{"license": {"name": licence}}]
        components.append(component)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "ems-dash"}},
        "components": components,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Check the locks; 0 when all is well, 1 otherwise."""
    parser = argparse.ArgumentParser(description="Check the locked requirements.")
    parser.add_argument("--sbom", type=Path, metavar="FILE", help="also write a CycloneDX file")
    arguments = parser.parse_args(argv)
    problems: list[str] = []
    read = {}
    for name in LOCKS:
        text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        read[name], wrong = read_pins(text)
        problems += [f"{name}: {problem}" for problem in wrong]
    runtime, test = (read[name] for name in LOCKS)
    # The browser driver of the tests wants an older urllib3 than the program.
    problems += [*installed_problems(runtime, test), *licence_problems(runtime)]
    if arguments.sbom is not None:
        bill = json.dumps(bill_of_materials(runtime), indent=1)
        arguments.sbom.write_text(bill + "\n", encoding="utf-8")
    counts = [f"{len(pins)} in {name}" for name, pins in read.items()]
    out = sys.stdout.write
    for problem in problems:
        out(f"{problem}\n")
    out(f"Locked packages: {', '.join(counts)}; {len(problems)} problems.\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
