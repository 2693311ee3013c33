"""The web application as the server answers it, without a browser."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import dash
import flask
import flask_compress.flask_compress
import pytest
from plotly.offline import get_plotlyjs_version
from ui_builders import NOW, minutes, snapshot

from ems_dash.app import create_app
from ems_dash.static_files import ASSETS
from engine.config.branding import BrandingConfig
from engine.domain.forecast import LOAD_SIGNAL, Forecast
from engine.domain.records import PriceRow, RunRow
from engine.domain.series import MeasuredPoint
from engine.domain.snapshot import EngineSnapshot
from engine.domain.strategy import StrategyState
from engine.runtime.planned_past import PlannedStep
from tests.support.access import OPEN
from tests.support.build import forecast, strategy_state


class StandingServices:
    """A plant that stands still, named after its site."""

    def __init__(self, name: str = "Standort Wien") -> None:
        base = snapshot()
        self.state = replace(base, site=replace(base.site, name=name))
        self.analytics = self

    def runs(self, days: int) -> list[RunRow]:
        return []

    def snapshot(self) -> EngineSnapshot:
        return self.state

    def measured(self, since: datetime, until: datetime | None = None) -> list[MeasuredPoint]:
        return [p for p in minutes(360) if p.ts > since and (until is None or p.ts < until)]

    def prices(self, since: datetime, until: datetime) -> list[PriceRow]:
        return []

    def planned(self, since: datetime, until: datetime) -> list[PlannedStep]:
        return []

    def now(self) -> datetime:
        return NOW

    def heartbeat_age_s(self) -> float:
        return 0.5

    def strategy_state(self) -> StrategyState:
        return strategy_state()

    def forecasts(self) -> dict[str, Forecast]:
        return {LOAD_SIGNAL: forecast()}


@pytest.fixture(autouse=True)
def clear_page_registry() -> Iterator[None]:
    dash.page_registry.clear()
    yield
    dash.page_registry.clear()


def post(client: Any, outputs: Any, inputs: dict[str, Any], state: dict[str, Any]) -> Any:
    def named(values: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {"id": key.rsplit(".", 1)[0], "property": key.rsplit(".", 1)[1], "value": value}
            for key, value in values.items()
        ]

    ids = [outputs] if isinstance(outputs, str) else outputs
    refs = [{"id": o.rsplit(".", 1)[0], "property": o.rsplit(".", 1)[1]} for o in ids]
    body = {
        "output": outputs if isinstance(outputs, str) else f"..{'...'.join(outputs)}..",
        "outputs": refs[0] if isinstance(outputs, str) else refs,
        "inputs": named(inputs),
        "state": named(state),
        "changedPropIds": list(inputs)[:1],
    }
    return client.post("/_dash-update-component", json=body)


def open_page(client: Any, path: str = "/") -> str:
    client.get("/_dash-layout")
    answer = post(
        client,
        ["_pages_content.children", "_pages_store.data"],
        {"_pages_location.pathname": path, "_pages_location.search": ""},
        {},
    )
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def test_document_has_language_theme_viewport_and_only_local_files() -> None:
    client = create_app(StandingServices(), access=OPEN).server.test_client()
    client.set_cookie("ems_theme", "dark")
    html = client.get("/", headers={"Accept-Language": "en-GB,en"}).get_data(as_text=True)
    assert '<html lang="en" data-bs-theme="dark">' in html
    assert 'name="viewport"' in html
    assert "theme-init.js" in html
    assert html.index("theme-init.js") < html.index("ems-all.css")
    assert re.findall(r'(?:src|href)="(?:https?:)?//', html) == []
    assert "{%" not in html


def test_theme_init_is_not_loaded_a_second_time() -> None:
    client = create_app(StandingServices(), access=OPEN).server.test_client()
    assert client.get("/").get_data(as_text=True).count("theme-init.js") == 1


@pytest.mark.parametrize(
    "path",
    [
        "ems.css",
        "live.js",
        "theme-init.js",
        "favicon.svg",
        "logo.svg",
        "vendor/bootstrap/bootstrap.min.css",
        "vendor/inter/inter-latin-wght-normal.woff2",
    ],
)
def test_assets_are_served(path: str) -> None:
    client = create_app(StandingServices(), access=OPEN).server.test_client()
    assert client.get(f"/assets/{path}").status_code == 200


@pytest.mark.parametrize("path", ["/assets/ems.css", "/"])
def test_answers_are_compressed(path: str) -> None:
    client = create_app(StandingServices(), access=OPEN).server.test_client()
    # What browsers offer over plain HTTP.
    answer = client.get(path, headers={"Accept-Encoding": "gzip, deflate"})
    assert answer.headers["Content-Encoding"] in ("gzip", "deflate")


def test_files_with_a_version_are_kept_and_others_asked_for_again() -> None:
    client = create_app(StandingServices(), access=OPEN).server.test_client()
    html = client.get("/").get_data(as_text=True)
    files = re.findall(r'(?:src|href)="(/[^"]+\.(?:js|css|svg)[^"]*)"', html)
    assert 10 < len(files) < 20
    for address in files:
        assert "max-age=31536000" in client.get(address).headers["Cache-Control"], address
    assert "max-age" not in client.get("/assets/logo.svg").headers.get("Cache-Control", "")


def test_a_file_is_compressed_once_and_again_when_it_has_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("ems_dash.app.ASSETS", tmp_path)
    for path in ASSETS.rglob("*"):
        if path.is_file():
            copy = tmp_path / path.relative_to(ASSETS)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.symlink_to(path)
    changing = tmp_path / "changing.css"
    changing.write_text("a { color: red }" * 100)
    client = create_app(StandingServices(), access=OPEN).server.test_client()
    compressed = []
    count = flask_compress.flask_compress._compress_data

    def counted(app: Any, data: bytes, algorithm: str) -> bytes:
        compressed.append(len(data))
        return bytes(count(app, data, algorithm))

    monkeypatch.setattr("flask_compress.flask_compress._compress_data", counted)
    for _ in range(3):
        answer = client.get("/assets/changing.css?v=1", headers={"Accept-Encoding": "gzip"})
        assert gzip.decompress(answer.data) == changing.read_bytes()
    assert compressed == [1600]
    changing.write_text("a { color: blue }" * 100)
    answer = client.get("/assets/changing.css?v=1", headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(answer.data) == changing.read_bytes()
    # What is no file is never kept.
    client.get("/_dash-layout", headers={"Accept-Encoding": "gzip"})
    client.get("/_dash-layout", headers={"Accept-Encoding": "gzip"})
    assert len(compressed) == 4


def test_the_charts_script_is_ours_and_of_plotlys_version() -> None:
    client = create_app(StandingServices(), access=OPEN).server.test_client()
    html = client.get("/").get_data(as_text=True)
    config = json.loads(re.search(r'id="_dash-config"[^>]*>(.*?)</script>', html).group(1))
    address = config["plotlyjs_url"]
    assert config["serve_locally"] is False
    script = client.get(address).get_data(as_text=True)
    assert f"v{get_plotlyjs_version()}" in script[:200]


def test_the_pages_can_be_kept_as_an_application_named_as_the_installation() -> None:
    branding = BrandingConfig(product_name="Hofwerk Energie")
    app = create_app(StandingServices(), branding, access=OPEN)
    client = app.server.test_client()
    answer = client.get("/manifest.webmanifest", headers={"Accept-Language": "en"})
    assert answer.mimetype == "application/manifest+json"
    manifest = answer.get_json()
    assert (manifest["name"], manifest["lang"]) == ("Hofwerk Energie", "en")
    for icon in manifest["icons"]:
        picture = client.get(icon["src"])
        side = int(icon["sizes"].partition("x")[0])
        # Width and height stand in the head of a PNG.
        assert picture.data[16:24] == 2 * side.to_bytes(4, "big")


def test_overview_holds_charts_lists_and_only_vendored_icons() -> None:
    client = create_app(StandingServices(), access=OPEN).server.test_client()
    page = open_page(client)
    assert "Standort Wien" in page
    assert "Demo-Anlage (simuliert)" in page
    icons = set(re.findall(r"\bicon-([a-z0-9-]+)", page.replace("icon-button", "")))
    vendored = {p.stem for p in (ASSETS / "vendor/bootstrap-icons/svg").glob("*.svg")}
    assert icons <= vendored
    assert '"role": "img"' in page or '"role":"img"' in page


def test_live_update_is_empty_for_the_same_cycle_and_small_for_a_new_one() -> None:
    services = StandingServices()
    client = create_app(services, access=OPEN).server.test_client()
    page = open_page(client)
    found = re.search(r'"data":(\{[^{}]*"token"[^{}]*\}),"id":"ov-state"', page) or re.search(
        r'"id":"ov-state","data":(\{[^{}]*\})', page
    )
    assert found
    state = json.loads(found.group(1))
    unchanged = post(
        client,
        "ov-delta.data",
        {"ov-tick.n_intervals": 1},
        {"ov-state.data": state, "lang.data": "de"},
    )
    assert len(unchanged.data) < 64
    services.state = replace(services.state, seq=services.state.seq + 1)
    changed = post(
        client,
        "ov-delta.data",
        {"ov-tick.n_intervals": 2},
        {"ov-state.data": state, "lang.data": "de"},
    )
    assert 0 < len(changed.data) < 1024
    assert b'"seq":8' in changed.data


def test_two_apps_in_one_process_keep_apart() -> None:
    first = create_app(StandingServices("Standort Graz"), access=OPEN).server.test_client()
    second = create_app(StandingServices("Standort Linz"), access=OPEN).server.test_client()
    assert "Standort Graz" in open_page(first)
    assert "Standort Linz" in open_page(second)
    assert "Standort Graz" in open_page(first)
    assert "Linz" not in open_page(first)


def test_unknown_page_says_so_in_the_language_of_the_request() -> None:
    client = create_app(StandingServices(), access=OPEN).server.test_client()
    client.set_cookie("ems_lang", "en")
    assert "This page does not exist" in open_page(client, "/nowhere")


def test_blueprints_added_afterwards_win_over_the_catch_all() -> None:
    app = create_app(StandingServices(), access=OPEN)
    api = flask.Blueprint("api", __name__, url_prefix="/api")

    @api.get("/state")
    def state() -> dict[str, str]:
        return {"state": "automatic"}

    app.server.register_blueprint(api)
    app.server.add_url_rule("/healthz", view_func=lambda: "ok", endpoint="healthz")
    client = app.server.test_client()
    assert client.get("/api/state").json == {"state": "automatic"}
    assert client.get("/healthz").text == "ok"
    assert "<html" in client.get("/").text


def test_create_app_starts_no_thread() -> None:
    import threading

    before = set(threading.enumerate())
    create_app(StandingServices(), access=OPEN)
    assert not set(threading.enumerate()) - before
