"""How a command shows the running program who asks."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

TOKEN_VARIABLE: Final = "EMS_API_TOKEN"


def headers(url: str, data_dir: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the headers of a request to the running program.

    Args:
        url: Its address; the token of the data folder is sent to this machine only.
        data_dir: Its data folder: whoever can read that may ask anything of the program.
        environ: `TOKEN_VARIABLE` holds an API token, for a program elsewhere.
    """
    from ems_dash.auth.web import LOCAL_TOKEN_FILE

    token = environ.get(TOKEN_VARIABLE, "")
    path = data_dir / LOCAL_TOKEN_FILE
    if not token and _is_here(url) and path.is_file() and os.access(path, os.R_OK):
        token = path.read_text(encoding="ascii").strip()
    return {"Authorization": f"Bearer {token}"} if token else {}


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
