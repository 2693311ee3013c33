"""Attacks over HTTP on the whole program: refused rightly, and no secret comes out."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from ems_dash.api.address_guard import AddressRefusedError, checked_address, refuse_special
from ems_dash.logs import ConsoleFormatter, JsonFormatter
from engine.config.load import ConfigProblems, parse_config
from engine.devices.connection_test.runner import system_resolve
from tests.support.login import bearer
from tests.support.whole_program import Program, build

CANARY: Final = "c4n4ry"
"""Part of every secret that is configured here."""

ENVIRONMENT: Final = {
    "C_MQTT": f"{CANARY}-mqtt",
    "C_MAIL": f"{CANARY}-mail",
    "C_HOOK": f"{CANARY}-hook",
    "EMS_ENTSOE_TOKEN": f"{CANARY}-entsoe",
}
YAML: Final = f"""
mqtt: {{enabled: true, broker_host: 127.0.0.1, broker_port: 9, username: ems, password_env: C_MQTT}}
notifications:
  channels:
    - {{name: hook, type: webhook, url: "http://127.0.0.1:9/{CANARY}-url", secret_env: C_HOOK}}
    - {{name: mail, type: email, host: 127.0.0.1, port: 9, security: starttls, username: ems,
       password_env: C_MAIL, sender: a@example.org, recipients: [b@example.org]}}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        made = build(tmp_path_factory.mktemp("attacked"), YAML)
        yield made
        made.stop()


def refused(answer: Any, *statuses: int) -> None:
    assert answer.status_code in statuses, answer.get_data(as_text=True)[:500]
    assert set(answer.get_json()["error"]) == {"code", "message", "field", "hint"}
    assert "Traceback" not in answer.get_data(as_text=True)


TRAVERSALS: Final = (
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "....//....//etc/passwd",
    "%2e%2e/%2e%2e/config/secrets/audit-key",
    "..\\..\\config\\users.yaml",
    "/etc/passwd",
)


@pytest.mark.parametrize("path", TRAVERSALS)
def test_no_path_leads_out_of_the_files_that_are_served(program: Program, path: str) -> None:
    for prefix in ("/assets/", "/api/export/", "/_dash-component-suites/dash/"):
        answer = program.ask("GET", prefix + path)
        text = answer.get_data(as_text=True)
        assert "root:" not in text
        assert answer.status_code >= 400 or "<!DOCTYPE html>" in text or path.startswith("/")


@pytest.mark.parametrize("folder", ["/etc", "../elsewhere", "/proc/self/root/tmp/x", "\x00", "~"])
def test_a_backup_goes_nowhere_else(program: Program, folder: str) -> None:
    refused(program.ask("POST", "/api/history/backup", json={"folder": folder}), 400, 503)


@pytest.mark.parametrize(
    "name", ["../ems.yaml", "../../data/local-token", "ems-x.yaml", "/etc/passwd"]
)
def test_only_a_backup_can_be_put_back(program: Program, name: str) -> None:
    body = {"backup": name, "revision": "x"}
    refused(program.ask("POST", "/api/config/restore", json=body), 404)


UNSAFE_ROUTES: Final = (
    *("/api/config", "/api/config/restore", "/api/modbus/test", "/api/strategy"),
    *("/api/control/manual", "/api/control/limits", "/api/notifications/test", "/api/sql"),
)
BODIES: Final = {
    "no json": b"{",
    "nested": b"[" * 100_000,
    "deep object": b'{"values":' * 50_000,
    "not utf-8": b'{"a": "\xff\xfe"}',
    "half a surrogate": b'{"channel": "\\ud800"}',
    "numbers": b'{"power_kw": 1e999, "minutes": NaN}',
    "null": b"null",
    "list": b"[1, 2]",
    "long key": b'{"' + b"k" * 900_000 + b'": 1}',
    "duplicate": b'{"power_kw": 1, "power_kw": 2, "__proto__": {}, "constructor": {}}',
    "zeros": b"\x00" * 1000,
}


@pytest.mark.parametrize("path", UNSAFE_ROUTES)
def test_what_is_no_proper_body_is_refused(program: Program, path: str) -> None:
    for name, body in BODIES.items():
        answer = program.ask("POST", path, data=body, content_type="application/json")
        assert 400 <= answer.status_code < 500, (name, answer.status_code)
        refused(answer, answer.status_code)
        assert len(answer.get_data()) < 5_000, name


@pytest.mark.parametrize("path", UNSAFE_ROUTES)
def test_too_much_is_refused(program: Program, path: str) -> None:
    body = b'{"x": "' + b"a" * 1_100_000 + b'"}'
    refused(program.ask("POST", path, data=body, content_type="application/json"), 400, 413)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


def test_a_configuration_without_end_is_refused(program: Program) -> None:
    revision = program.ask("GET", "/api/config").get_json()["revision"]
    for values in (nested(150), {"site": nested(150)}, {"devices": [[]] * 2_000}):
        answer = program.ask(
            "POST", "/api/config", json={"values": values, "revision": revision, "save": True}
        )
        assert 400 <= answer.status_code < 500


LAUGHS: Final = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LAUGHS, "aliases"),
        ("a: &a [*a]", "nested"),
        ("a: &a {b: *a}", "nested"),
        ("[" * 50_000, "ems.yaml"),
        ("a: " + "{a: " * 5_000 + "1" + "}" * 5_000, "nested"),
        ("site: !!python/object/apply:os.system ['touch /tmp/pwned']", "YAML"),
        ("site: !!python/name:os.system", "YAML"),
        ("&a a: 1\n<<: [*a, *a]", "ems.yaml"),
    ],
)
def test_a_yaml_bomb_is_named_and_nothing_explodes(text: str, words: str) -> None:
    with pytest.raises(ConfigProblems, match=words):
        parse_config(text)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT content FROM read_blob('config/secrets/audit-key')",
        "SELECT * FROM '/etc/passwd'",
        "COPY samples TO '/tmp/out.csv'",
        "ATTACH '/tmp/x.duckdb' AS x",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET memory_limit='100GB'",
        "PRAGMA database_list",
        "SELECT getenv('C_MQTT')",
        "SELECT current_setting('home_directory')",
        "DROP TABLE samples",
        "SELECT 1; DROP TABLE samples",
        "CREATE MACRO m() AS 1",
        "CALL pragma_version()",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM duckdb_secrets()",
        "EXPORT DATABASE '/tmp/x'",
        "WITH x AS (SELECT * FROM glob('/**')) SELECT * FROM x",
        "SELECT * FROM query('SELECT 1')",
    ],
)
def test_sql_does_not_get_out(program: Program, sql: str) -> None:
    refused(program.ask("POST", "/api/sql", json={"sql": sql}), 400)


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "[::ffff:169.254.169.254]",
        "::ffff:a9fe:a9fe",
        "8.8.8.8",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "fe80::1",
        "metadata.google.internal",
        "127.0.0.1\r\nHost: x",
        "a" * 300,
        "localhost\x00.example.org",
    ],
)
def test_connection_tests_reach_no_other_network(host: str) -> None:
    with pytest.raises(AddressRefusedError):
        checked_address(host, 502, (), system_resolve)


@pytest.mark.parametrize("port", [22, 80, 443, 6379, 0, 65536, -1])
def test_connection_tests_reach_no_other_service(port: int) -> None:
    with pytest.raises(AddressRefusedError):
        checked_address("127.0.0.1", port, (), system_resolve)


def test_the_route_of_the_test_refuses_such_an_address(program: Program) -> None:
    body = {"profile": "hithium_ess_5016", "host": "::ffff:169.254.169.254", "port": 502}
    refused(program.ask("POST", "/api/modbus/test", json=body), 400)


@pytest.mark.parametrize(
    ("addresses", "is_refused"),
    [
        (["192.168.1.20"], False),
        (["127.0.0.1"], False),
        (["::1"], False),
        (["93.184.216.34"], False),
        (["169.254.169.254"], True),
        (["::ffff:169.254.169.254"], True),
        (["fd00:ec2::254"], True),
        (["fe80::1%eth0"], True),
        (["0.0.0.0"], True),
        (["224.0.0.1"], True),
        (["192.168.1.20", "169.254.169.254"], True),
        ([], True),
    ],
)
def test_a_broker_is_no_place_where_clouds_keep_secrets(
    addresses: list[str], is_refused: bool
) -> None:
    try:
        refuse_special("broker", 1883, lambda _host, _port: addresses)
    except AddressRefusedError:
        assert is_refused
    else:
        assert not is_refused


@pytest.mark.parametrize(
    "path", ["/api/modbus/test", "/api/mqtt/test", "/api/notifications/test", "/api/history/backup"]
)
def test_whoever_is_no_admin_starts_no_test(program: Program, path: str) -> None:
    for role in ("viewer", "operator"):
        refused(program.ask("POST", path, role, json={}), 403)
    refused(program.server.test_client().post(path, json={}), 401, 403)


def test_tests_of_connections_are_paced(program: Program) -> None:
    body = {"profile": "hithium_ess_5016", "host": "127.0.0.1", "port": 5020, "timeout_s": 0.2}
    statuses = {program.ask("POST", "/api/modbus/test", json=body).status_code for _ in range(3)}
    assert 429 in statuses


@pytest.mark.parametrize(
    "text", ["x\nINFO admin logged in", "x\r\n\r\n<script>", "\x1b[2J", "\u2028"]
)
def test_what_is_sent_forges_no_line_of_the_logs(
    program: Program, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    with caplog.at_level(logging.DEBUG):
        program.ask("POST", "/api/notifications/test", json={"channel": text})
        program.ask("POST", "/api/alarms/ack", json={"name": text})
        program.ask(
            "GET", "/api/state", headers={"User-Agent": text.replace("\n", " ").replace("\r", "")}
        )
        program.server.test_client().post(
            "/login", data={"name": text, "password": text}, headers={"Accept": "text/html"}
        )
    for record in caplog.records:
        assert "\n" not in JsonFormatter().format(record)
        first, *rest = ConsoleFormatter().format(record).split("\n")
        assert "\x1b" not in first
        assert all(row.startswith("    ") for row in rest)
    for path in (program.folder / "data" / "audit").glob("*.jsonl"):
        for line in path.read_bytes().splitlines():
            json.loads(line)
            assert line.isascii()


def test_a_header_cannot_be_split(program: Program) -> None:
    answer = program.ask("GET", "/login?next=/%0d%0aSet-Cookie:%20x=1")
    assert "x=1" not in str(answer.headers)


def test_no_secret_comes_out_anywhere(program: Program, caplog: pytest.LogCaptureFixture) -> None:
    seen: dict[str, str] = {}
    with caplog.at_level(logging.DEBUG):
        for rule in program.server.url_map.iter_rules():
            if "GET" in (rule.methods or ()) and not rule.rule.startswith(
                ("/assets", "/_dash-comp")
            ):
                path = re.sub(r"<[^>]+>", "x", rule.rule)
                if path != "/api/events":
                    data = program.ask("GET", path).get_data()
                    seen[f"GET {path}"] = data.decode("utf-8", "replace")
        for page in ("", "?section=mqtt", "?section=notifications", "?section=prices"):
            seen[f"settings{page}"] = program.ask("GET", f"/settings{page}").get_data(as_text=True)
        stated = program.ask("GET", "/api/config").get_json()
        values = stated["values"] | {"branding": {"product_name": "Canary"}}
        for save in (False, True):
            body = {"values": values, "revision": stated["revision"], "save": save}
            seen[f"save {save}"] = program.ask("POST", "/api/config", json=body).get_data(
                as_text=True
            )
        wrong = values | {"mqtt": {"enabled": True, "password": f"{CANARY}-typed"}}
        body = {"values": wrong, "revision": "x", "save": True}
        seen["mistake"] = program.ask("POST", "/api/config", json=body).get_data(as_text=True)
        for path, asked in (
            ("/api/mqtt/test", None),
            ("/api/notifications/test", {"channel": "hook"}),
            ("/api/notifications/test", {"channel": "mail"}),
        ):
            seen[f"POST {path} {asked}"] = program.ask("POST", path, json=asked).get_data(
                as_text=True
            )
        program.engine.step()
    backups = program.ask("GET", "/api/config/backups").get_json()["backups"]
    assert backups
    secrets = [*ENVIRONMENT.values(), f"{CANARY}-url", f"{CANARY}-typed"]
    secrets += [bearer()["Authorization"].removeprefix("Bearer ")]
    secrets += [(program.folder / "config" / "secrets" / "audit-key").read_text()]
    seen["log"] = "\n".join(ConsoleFormatter().format(record) for record in caplog.records)
    for path in (program.folder / "data" / "audit").glob("*.jsonl"):
        seen[path.name] = path.read_text()
    for where, text in seen.items():
        for secret in secrets:
            assert secret not in text, (where, secret[:12])


def test_what_the_program_keeps_private_is_private_on_disk(program: Program) -> None:
    private = [
        *(program.folder / "config" / "secrets").iterdir(),
        *(program.folder / "data" / "audit").glob("*.jsonl"),
        *(program.folder / "config").glob("users.yaml"),
        *(program.folder / "data").glob("*-key"),
        *(program.folder / "data").glob("*-token"),
    ]
    assert len(private) >= 5
    for path in private:
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_secrets_of_a_configuration_stay_out_of_a_backup_of_the_history(
    program: Program, tmp_path: Path
) -> None:
    answer = program.ask("POST", "/api/history/backup", json={})
    assert answer.status_code == 200
    for path in Path(answer.get_json()["folder"]).rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path
