"""Recorded replies, and replies built from them where none could be recorded."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "data" / "api"


def recorded(name: str) -> Any:
    """Return a recorded reply by file name without ``.json``."""
    return json.loads((FOLDER / f"{name}.json").read_bytes())


def energy_charts(name: str) -> dict[str, Any]:
    """Return recorded quarter-hours in the shape in which Energy-Charts sends them."""
    rows = recorded(name)["data"]
    return {
        "license_info": "CC BY 4.0 (creativecommons.org/licenses/by/4.0) from "
        "Bundesnetzagentur | SMARD.de",
        "unix_seconds": [r["start_timestamp"] // 1000 for r in rows],
        "price": [r["marketprice"] for r in rows],
        "unit": "EUR / MWh",
        "deprecated": False,
    }


def entsoe_series(
    start: datetime,
    prices: list[float],
    *,
    minutes: int = 15,
    sequence: str | None = "1",
    curve: str = "A03",
    currency: str = "EUR",
    sparse: bool = True,
) -> str:
    """Return a TimeSeries of an A44 document; `sparse` leaves repeated points out."""
    points = "".join(
        f"<Point><position>{i + 1}</position><price.amount>{p}</price.amount></Point>"
        for i, p in enumerate(prices)
        if not (sparse and i and p == prices[i - 1])
    )
    name = "classificationSequence_AttributeInstanceComponent.position"
    order = f"<{name}>{sequence}</{name}>" if sequence else ""
    end = start + timedelta(minutes=minutes * len(prices))
    return (
        f"<TimeSeries><mRID>1</mRID>{order}<currency_Unit.name>{currency}</currency_Unit.name>"
        f"<price_Measure_Unit.name>MWH</price_Measure_Unit.name><curveType>{curve}</curveType>"
        f"<Period><timeInterval><start>{_utc(start)}</start><end>{_utc(end)}</end></timeInterval>"
        f"<resolution>PT{minutes}M</resolution>{points}</Period></TimeSeries>"
    )


def entsoe_document(*series: str) -> bytes:
    """Return an A44 document."""
    return (
        '<?xml version="1.0" encoding="utf-8"?><Publication_MarketDocument '
        'xmlns="urn:iec62325.351:tc57wg16:451-3:publicationdocument:7:3">'
        f"<type>A44</type>{''.join(series)}</Publication_MarketDocument>"
    ).encode()


def entsoe_nothing(text: str = "No matching data found for Data item ENERGY_PRICES") -> bytes:
    """Return the document that says that nothing is published, or why a request is refused."""
    return (
        '<?xml version="1.0" encoding="utf-8"?><Acknowledgement_MarketDocument '
        'xmlns="urn:iec62325.351:tc57wg16:451-1:acknowledgementdocument:7:0">'
        f"<Reason><code>999</code><text>{text}</text></Reason></Acknowledgement_MarketDocument>"
    ).encode()


def _utc(ts: datetime) -> str:
    return f"{ts.astimezone(UTC):%Y-%m-%dT%H:%MZ}"


def openweathermap(start: datetime, n: int = 40) -> dict[str, Any]:
    """Return a forecast in the shape of OpenWeatherMap 2.5; temperatures rise 3 degrees a step."""
    rows = [
        {
            "dt": int((start + timedelta(hours=3 * i)).timestamp()),
            "main": {"temp": -5.0 + 3.0 * (i % 8), "humidity": 80},
            "clouds": {"all": 10 * (i % 11)},
            "wind": {"speed": 2.0 + i % 3, "deg": 90},
            "pop": 0,
        }
        for i in range(n)
    ]
    return {"cod": "200", "message": 0, "cnt": n, "list": rows, "city": {"name": "Wien"}}


def open_meteo(start: datetime, n: int = 192) -> dict[str, Any]:
    """Return a forecast in the shape asked of Open-Meteo: Unix time, m/s, plain names."""
    first = int(start.timestamp())
    return {
        "utc_offset_seconds": 0,
        "timezone": "GMT",
        "minutely_15_units": {
            "time": "unixtime",
            "shortwave_radiation": "W/m²",
            "direct_normal_irradiance": "W/m²",
            "diffuse_radiation": "W/m²",
            "cloud_cover": "%",
            "temperature_2m": "°C",
            "wind_speed_10m": "m/s",
        },
        "minutely_15": {
            "time": [first + 900 * i for i in range(n)],
            "shortwave_radiation": [float(i) for i in range(n)],
            "direct_normal_irradiance": [2.0 * i for i in range(n)],
            "diffuse_radiation": [0.5 * i for i in range(n)],
            "cloud_cover": [i % 100 for i in range(n)],
            "temperature_2m": [0.1 * i for i in range(n)],
            "wind_speed_10m": [3.0] * n,
        },
    }
