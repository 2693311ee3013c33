"""Looks at an installation from outside of the running program, and changes nothing."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import duckdb

from ems_dash.doctor_devices import ReadDevice, device_findings, read_device
from ems_dash.doctor_finding import Finding
from ems_dash.logs import clean
from engine.audit import files as audit_files
from engine.audit.errors import AuditError
from engine.audit.key import read_key
from engine.audit.verify import verify
from engine.config.load import FILE_NAME, ConfigProblems, read_text
from engine.config.schema import Config
from engine.config.secret_files import FOLDER as SECRETS
from engine.config.sites import parse_installation
from engine.domain.errors import EmsError
from engine.runtime.history_setup import DATABASE_NAME
from engine.runtime.market_service import CACHE_FOLDER
from engine.runtime.readiness import LEAST_FREE_BYTES
from engine.runtime.site_folders import site_folders
from engine.runtime.sites import check_installation

PYTHON: Final = (3, 11)
CONNECT_S: Final = 3.0
LOCK_FILE: Final = Path(__file__).resolve().parents[1] / "requirements" / "runtime.txt"

_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)(?!.*;)", re.MULTILINE)
_OLD_PRICES: Final = timedelta(hours=36)
_GROUP_AND_OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True)
class _Site:
    """A site that is looked at; without its configuration while there is none to be read."""

    config: Config | None
    folder: Path


class Doctor:
    """Looks at one installation.

    Args:
        config_dir: Folder of ``ems.yaml``.
        data_dir: Data folder.
        port: Port the program listens on.
        offline: Connect to nothing.
        connect: Opens a TCP connection to host and port and closes it; raises OSError.
        read: Reads a device once.
    """

    def __init__(
        self,
        config_dir: Path,
        data_dir: Path,
        port: int,
        *,
        offline: bool = False,
        connect: Callable[[str, int], None] | None = None,
        read: ReadDevice = read_device,
    ) -> None:
        self._config_dir = config_dir
        self._data_dir = data_dir
        self._port = port
        self._offline = offline
        self._connect = connect or _connect
        self._read = read
        self._sites = [_Site(None, data_dir)]
        self._owners: dict[Path, str] = {}

    def look(self) -> list[Finding]:
        """Return every finding, in the order a person would go through them."""
        findings: list[Finding] = []
        for name, check in (
            ("python", self._python),
            ("packages", self._packages),
            ("config", self._configuration),
            ("users", self._users),
            ("secrets", self._secrets),
            ("data", self._data),
            ("disk", self._disk),
            ("lock", self._everywhere("lock", self._lock)),
            ("database", self._everywhere("database", self._database)),
            ("audit", self._audit),
            ("port", self._listening),
            ("time zone", self._everywhere("time zone", self._time_zone)),
            ("clock", self._clock),
            ("broker", self._everywhere("broker", self._broker)),
            ("devices", self._everywhere("devices", self._devices)),
            ("prices", self._everywhere("prices", self._prices)),
        ):
            try:
                found = check()
            except (EmsError, OSError) as exc:
                found = [Finding(name, "failed", clean(str(exc)))]
            findings += found if isinstance(found, list) else [found]
        return findings

    def _everywhere(
        self, name: str, check: Callable[[_Site], Finding | list[Finding]]
    ) -> Callable[[], list[Finding]]:
        """Return a check of every site, which names the site where there are several.

        What goes wrong at one site is told of that site, and the others are looked at all the same.
        """

        def look() -> list[Finding]:
            findings: list[Finding] = []
            for site in self._sites:
                try:
                    found = check(site)
                except (EmsError, OSError) as exc:
                    found = Finding(name, "failed", clean(str(exc)))
                config = site.config
                named = "" if config is None or len(self._sites) == 1 else f"{config.site.id}: "
                findings += [
                    replace(finding, detail=f"{named}{finding.detail}")
                    for finding in (found if isinstance(found, list) else [found])
                ]
            return findings

        return look

    def _python(self) -> Finding:
        have = sys.version_info[:2]
        text = f"Python {sys.version.split()[0]}."
        if have == PYTHON:
            return Finding("python", "ok", text)
        wanted = ".".join(map(str, PYTHON))
        return Finding("python", "warning", text, f"Use Python {wanted}; the locks are for it.")

    def _packages(self) -> Finding:
        try:
            pins = _PIN.findall(LOCK_FILE.read_text(encoding="utf-8"))
        except OSError:
            return Finding("packages", "skipped", "The lock is not part of this installation.")
        wrong = []
        for name, wanted in pins:
            try:
                have = version(name)
            except PackageNotFoundError:
                have = "missing"
            if have != wanted:
                wrong.append(f"{name} {have} (locked {wanted})")
        if not wrong:
            return Finding("packages", "ok", f"{len(pins)} packages are as locked.")
        text = f"{len(wrong)} of {len(pins)} are not as locked: {', '.join(wrong[:4])}."
        missing = any(" missing " in entry for entry in wrong)
        remedy = "Run make, or pip install --require-hashes -r requirements/runtime.txt."
        return Finding("packages", "failed" if missing else "warning", text, remedy)

    def _configuration(self) -> Finding:
        path = self._config_dir / FILE_NAME
        if not path.exists():
            return Finding("config", "warning", f"{path} is made at the first start.")
        try:
            installation = parse_installation(read_text(path), str(path))
            check_installation(installation)
        except ConfigProblems as exc:
            first = exc.problems[0]
            text = f"{len(exc.problems)} mistakes; the first: {first.field}: {first.message}"
            return Finding("config", "failed", clean(text), clean(first.hint or ""))
        except EmsError as exc:
            return Finding("config", "failed", clean(exc.message), clean(exc.hint or ""))
        folders = site_folders(installation.ids, self._data_dir)
        found = zip(installation.sites, folders.values(), strict=True)
        self._sites = [_Site(config, folder) for config, folder in found]
        demos = {config.demo for config in installation.sites}
        what = " and ".join("the demo plant" if demo else "real devices" for demo in sorted(demos))
        sites = "" if len(folders) == 1 else f"{len(folders)} sites with "
        return Finding("config", "ok", f"{path} has no mistakes; it describes {sites}{what}.")

    def _users(self) -> Finding:
        path = self._config_dir / "users.yaml"
        if not path.exists():
            return Finding("users", "warning", f"{path} is made at the first start.")
        from ems_dash.auth.user_store import UserStore

        UserStore(path).read()
        return self._private("users", [path], "users.yaml can be read by its owner only.")

    def _secrets(self) -> Finding:
        folder = self._config_dir / SECRETS
        found = [path for path in folder.glob("*") if path.is_file()]
        found += [path for name in ("*-key", "*-token") for path in self._data_dir.glob(name)]
        if not found:
            return Finding("secrets", "ok", "There are no secret files yet.")
        text = f"{len(found)} secret files can be read by their owner only."
        return self._private("secrets", found, text)

    def _private(self, name: str, paths: list[Path], well: str) -> Finding:
        open_ones = [path for path in paths if path.stat().st_mode & _GROUP_AND_OTHERS]
        if not open_ones:
            return Finding(name, "ok", well)
        shown = " ".join(str(path) for path in open_ones[:4])
        return Finding(name, "failed", f"Others can read {shown}.", f"chmod 600 {shown}")

    def _data(self) -> Finding:
        folder = self._data_dir
        if not folder.exists():
            return Finding("data", "warning", f"{folder} is made at the first start.")
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            remedy = "Give it to the user that runs EMS Dash."
            return Finding("data", "failed", f"{folder} cannot be written.", remedy)
        return Finding("data", "ok", f"{folder} can be read and written.")

    def _disk(self) -> Finding:
        folder = self._data_dir if self._data_dir.exists() else self._data_dir.resolve().parent
        while not folder.exists():
            folder = folder.parent
        free = shutil.disk_usage(folder).free
        text = f"{free / 1e9:.1f} GB are free."
        if free >= LEAST_FREE_BYTES:
            return Finding("disk", "ok", text)
        return Finding("disk", "failed", text, "Make room: the history cannot be written soon.")

    def _lock(self, site: _Site) -> Finding:
        """Find out whether a program has the data folder, without keeping it from one."""
        path = site.folder / f"{DATABASE_NAME}.lock"
        if not path.exists():
            return Finding("lock", "ok", "No program has used the data folder yet.")
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = file.read(20).decode("ascii", "replace").strip()
                self._owners[site.folder] = owner
                return Finding("lock", "ok", f"Process {owner} has the data folder.")
        return Finding("lock", "ok", "No program has the data folder.")

    def _database(self, site: _Site) -> Finding:
        path = site.folder / DATABASE_NAME
        if not path.exists():
            return Finding("database", "ok", "There is no history yet.")
        size = f"{path.stat().st_size / 1e6:.0f} MB"
        if (owner := self._owners.get(site.folder)) is not None:
            return Finding("database", "ok", f"{size}, in use by process {owner}.")
        with path.open("rb") as file:
            begin = file.read(16)
        if begin[8:12] != b"DUCK":
            remedy = "Put a backup back: python -m ems_dash restore FOLDER."
            return Finding("database", "failed", f"{path} is no history file.", remedy)
        wal = path.with_name(path.name + ".wal")
        if wal.exists() and wal.stat().st_size > 0:
            text = f"{size}; {wal.stat().st_size / 1e6:.1f} MB are taken over at the next start."
            return Finding("database", "ok", text)
        try:
            _open_on_trial(path)
        except duckdb.Error as exc:
            remedy = "Put a backup back: python -m ems_dash restore FOLDER."
            said = clean(str(exc).partition("\n")[0][:300])
            return Finding("database", "failed", f"{path} cannot be opened: {said}", remedy)
        return Finding("database", "ok", f"{size}, closed in order; it opens.")

    def _audit(self) -> Finding:
        folder = self._data_dir / audit_files.FOLDER
        if not audit_files.log_files(folder):
            return Finding("audit", "ok", "There is no audit log yet.")
        try:
            report = verify(folder, read_key(self._config_dir))
        except AuditError as exc:
            return Finding("audit", "failed", clean(exc.message), clean(exc.hint or ""))
        if report.ok:
            return Finding("audit", "ok", f"{report.entries} entries, unaltered.")
        text = f"{report.count} problems; the first: {report.problems[0].message}"
        remedy = "Look at python -m ems_dash verify-audit; find out who could write the files."
        return Finding("audit", "failed", text, remedy)

    def _listening(self) -> Finding:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self._port))
            except OSError:
                is_ours = bool(self._owners)
                text = f"Port {self._port} is in use" + (
                    ", probably by EMS Dash." if is_ours else "."
                )
                remedy = "" if is_ours else "Stop what listens there, or give another --port."
                return Finding("port", "ok" if is_ours else "failed", text, remedy)
        return Finding("port", "ok", f"Port {self._port} is free.")

    def _time_zone(self, site: _Site) -> Finding:
        name = "Europe/Vienna" if site.config is None else site.config.site.timezone
        try:
            local = datetime.now(ZoneInfo(name))
        except (ZoneInfoNotFoundError, ValueError):
            remedy = "Install the package tzdata."
            return Finding("time zone", "failed", f"{name} is not known here.", remedy)
        return Finding("time zone", "ok", f"It is {local:%H:%M} at the site ({name}).")

    def _clock(self) -> list[Finding]:
        now = datetime.now(UTC)
        built = (
            datetime.fromtimestamp(LOCK_FILE.stat().st_mtime, UTC) if LOCK_FILE.exists() else now
        )
        if now < built - timedelta(days=1):
            text = f"The clock says {now:%Y-%m-%d %H:%M} UTC, before this program was installed."
            return [Finding("clock", "failed", text, "Set the clock; use NTP.")]
        findings = [_synchronised()]
        newest = self._newest_entry()
        if newest is not None and newest > now + timedelta(minutes=5):
            text = f"The audit log reaches {newest:%Y-%m-%d %H:%M} UTC: the clock went back."
            findings.append(Finding("clock", "warning", text, "Set the clock; use NTP."))
        return findings

    def _newest_entry(self) -> datetime | None:
        from engine.audit.reading import AuditQuery, read_page

        page = read_page(self._data_dir / audit_files.FOLDER, AuditQuery(limit=1))
        return datetime.fromisoformat(page.entries[0].ts) if page.entries else None

    def _broker(self, site: _Site) -> Finding:
        if site.config is None or not site.config.mqtt.enabled:
            return Finding("broker", "skipped", "No broker is configured.")
        mqtt = site.config.mqtt
        where = f"{mqtt.broker_host}:{mqtt.broker_port}"
        return self._reached("broker", where, mqtt.broker_host, mqtt.broker_port)

    def _devices(self, site: _Site) -> list[Finding]:
        if site.config is None:
            return [Finding("devices", "skipped", "Nobody knows which; see the configuration.")]
        owner = self._owners.get(site.folder)
        return device_findings(site.config, owner, offline=self._offline, read=self._read)

    def _reached(self, name: str, where: str, host: str, port: int) -> Finding:
        if self._offline:
            return Finding(name, "skipped", f"{where} was not tried (--offline).")
        began = time.monotonic()
        try:
            self._connect(host, port)
        except OSError as exc:
            text = f"{where} does not answer: {clean(str(exc))}."
            return Finding(
                name, "failed", text, "Check address, cable, firewall; is it switched on?"
            )
        return Finding(
            name, "ok", f"{where} answers in {(time.monotonic() - began) * 1000:.0f} ms."
        )

    def _prices(self, site: _Site) -> Finding:
        if site.config is None or site.config.prices.demo_mode:
            return Finding("prices", "skipped", "Recorded prices need no source.")
        newest = max(
            (
                path.stat().st_mtime
                for path in (site.folder / CACHE_FOLDER).rglob("*")
                if path.is_file()
            ),
            default=None,
        )
        if newest is None:
            remedy = "Check the connection to the internet and prices.provider."
            return Finding("prices", "warning", "No prices were fetched yet.", remedy)
        age = datetime.now(UTC) - datetime.fromtimestamp(newest, UTC)
        text = f"The newest data from outside were fetched {age.total_seconds() / 3600:.0f} h ago."
        if age <= _OLD_PRICES:
            return Finding("prices", "ok", text)
        return Finding("prices", "warning", text, "Check the connection to the internet.")


def _connect(host: str, port: int) -> None:
    socket.create_connection((host, port), timeout=CONNECT_S).close()


def _open_on_trial(path: Path) -> None:
    """Open a history nobody uses, and read what it holds, without writing to it.

    Raises:
        duckdb.Error: It is damaged.
    """
    with duckdb.connect(path, read_only=True) as trial:
        for (table,) in trial.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            quoted = table.replace('"', '""')
            trial.execute(f'SELECT * FROM "{quoted}" LIMIT 1').fetchall()


def _synchronised() -> Finding:
    """Say whether the kernel is told the time by somebody, where it can be asked."""
    synchronised = Path("/run/systemd/timesync/synchronized")
    if synchronised.exists():
        return Finding("clock", "ok", "The clock is set over the network.")
    if any(Path(name).exists() for name in ("/run/chrony", "/run/chronyd.pid", "/run/ntpd.pid")):
        return Finding("clock", "ok", "A time service runs.")
    text = f"It is {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC; no time service was found here."
    return Finding("clock", "warning", text, "Set up NTP: prices and plans go by the clock.")
