"""What is written down about the set-up at start: tariffs and devices, whenever they change."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from engine.config.schema import Config
from engine.config.tariff import TariffConfig
from engine.devices.assets.members import AssetMember
from engine.domain.local_days import local_midnight
from engine.domain.records import DeviceRow, TariffRow
from engine.history.store import HistoryStore
from engine.history.writer import HistoryWriter


def record_setup(
    config: Config,
    members: Iterable[AssetMember],
    *,
    store: HistoryStore,
    writer: HistoryWriter,
    now: datetime,
) -> None:
    """Write down the tariff and the devices, as far as they are not known like this.

    Raises:
        HistoryError: What is recorded could not be read.
    """
    site_id, zone = config.site.id, ZoneInfo(config.site.timezone)
    writer.add_tariffs(new_tariffs(config.tariff, zone, store, site_id, now))
    writer.add_devices(new_devices(members, store, site_id, now))


def new_tariffs(
    config: TariffConfig, zone: ZoneInfo, store: HistoryStore, site_id: str, now: datetime
) -> list[TariffRow]:
    """Return the versions of the tariff that were never recorded before.

    Raises:
        HistoryError: What is recorded could not be read.
    """
    known = {(row.valid_from, row.document) for row in store.tariffs(site_id)}
    rows = []
    for version in config.dated:
        day = version.valid_from
        row = TariffRow(
            recorded_at=now,
            site_id=site_id,
            valid_from=None if day is None else local_midnight(day, zone),
            document=_canonical(version.model_dump(mode="json", by_alias=True)),
        )
        if (row.valid_from, row.document) not in known:
            rows.append(row)
    return rows


def new_devices(
    members: Iterable[AssetMember], store: HistoryStore, site_id: str, now: datetime
) -> list[DeviceRow]:
    """Return the devices that are not as they were last recorded; holds no secret.

    Raises:
        HistoryError: What is recorded could not be read.
    """
    known = {row.device: row.document for row in store.devices(site_id, now)}
    rows = []
    for member in members:
        spec = member.spec
        endpoint = spec.serial.device if spec.serial is not None else f"{spec.host}:{spec.port}"
        document = _canonical(
            {
                "profile": spec.profile.key,
                "manufacturer": spec.profile.manufacturer,
                "roles": sorted(str(role) for role in member.roles),
                "storage": member.storage,
                "transport": spec.transport.value,
                # The demo plant takes any free port; that is no other device.
                "endpoint": "simulated" if spec.simulated else endpoint,
                "unit_id": spec.unit_id,
                "poll_interval_s": spec.poll_interval_s,
                "writable": spec.writable,
                "simulated": spec.simulated,
            }
        )
        if known.get(spec.name) != document:
            rows.append(DeviceRow(now, site_id, spec.name, document))
    return rows


def _canonical(document: dict[str, object]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
