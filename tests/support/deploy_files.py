"""The files of ``deploy``, set up as somebody does who has just cloned the repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"

KEPT = (
    "config/ems.yaml.example",
    "docker-compose.yml",
    "mosquitto/acl",
    "mosquitto/mosquitto.conf",
    "reverse-proxy/Caddyfile",
    "reverse-proxy/nginx.conf",
    "setup.sh",
    "systemd/ems-dash.service",
    "systemd/install.sh",
)
"""What of ``deploy`` belongs to the repository."""


def copy_of_deploy(folder: Path) -> Path:
    """Return ``folder/deploy`` with the files that belong to the repository."""
    for name in KEPT:
        target = folder / "deploy" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((DEPLOY / name).read_bytes())
    return folder / "deploy"


def run_setup(folder: Path, *arguments: str) -> str:
    """Run ``setup.sh`` in a copy of ``deploy`` and return what it said."""
    return subprocess.run(
        ["sh", str(folder / "setup.sh"), *arguments], capture_output=True, text=True, check=True
    ).stdout


def env_of(folder: Path) -> dict[str, str]:
    """Return the settings in the ``.env`` of a copy of ``deploy``."""
    lines = (folder / ".env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
