"""Where each site of an installation keeps its data.

One site keeps the data folder itself, as ever: a file in it says whose it is. Every further site
has a folder of its own below, to be backed up, restored or taken away without the others. Who has
which does not depend on the order of the file, nor on how many sites it has today.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from engine.config.load import write_atomically
from engine.domain.errors import ConfigError

OWNER_NAME: Final = "site-id"
"""File in the data folder with the id of the site that keeps its data right there."""

SITES_FOLDER: Final = "sites"


def site_folders(ids: Sequence[str], data_dir: Path) -> dict[str, Path]:
    """Return site id to the folder of its data; nothing is made or written.

    Args:
        ids: The sites of the installation, at least one.
        data_dir: Data folder of the installation.

    Raises:
        ConfigError: The folder cannot be read.
    """
    owner = _owner(data_dir)
    below = data_dir / SITES_FOLDER
    if len(ids) == 1:
        # A site that is alone now keeps what it had among others.
        is_other = owner not in (None, ids[0]) and below.is_dir()
        return {ids[0]: below / ids[0] if is_other else data_dir}
    first = ids[0] if owner is None else owner
    return {site_id: data_dir if site_id == first else below / site_id for site_id in ids}


def remember_owner(folders: dict[str, Path], data_dir: Path) -> None:
    """Write down which site keeps the data folder itself, for the next start.

    Raises:
        ConfigError: The folder cannot be written.
    """
    for site_id, folder in folders.items():
        if folder == data_dir and _owner(data_dir) != site_id:
            try:
                write_atomically(data_dir / OWNER_NAME, site_id + "\n")
            except OSError as exc:
                raise _unusable(data_dir, exc) from exc


def _owner(data_dir: Path) -> str | None:
    try:
        return (data_dir / OWNER_NAME).read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as exc:
        raise _unusable(data_dir, exc) from exc


def _unusable(data_dir: Path, exc: Exception) -> ConfigError:
    return ConfigError(
        f"The data folder cannot be used: {exc}.",
        field="data",
        value=str(data_dir),
        hint="Make it readable and writable for the user that runs EMS Dash.",
    )
