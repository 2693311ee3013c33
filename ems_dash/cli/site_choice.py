"""Which site a command is about, and where its data are."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.config.schema import Config


@dataclass(frozen=True, slots=True)
class ChosenSite:
    """The site a command is about.

    Attributes:
        config: Its configuration.
        data: Folder of its data.
    """

    config: Config
    data: Path


def add_site(command: argparse.ArgumentParser) -> None:
    """Add the option that says which site."""
    command.add_argument(
        "--site", default=None, metavar="ID", help="site, where ems.yaml describes several"
    )


def chosen_site(arguments: argparse.Namespace) -> ChosenSite:
    """Return the site that ``--site`` names; without it, the only one of ``--config``.

    Raises:
        ConfigError: The configuration has mistakes, or there is no such site, or several and
            none was named.
    """
    from engine.config.sites import load_installation
    from engine.runtime.site_folders import site_folders

    installation = load_installation(arguments.config)
    config = installation.site(arguments.site)
    return ChosenSite(config, site_folders(installation.ids, arguments.data)[config.site.id])


def chosen_data(arguments: argparse.Namespace) -> Path:
    """Return the data folder of the chosen site, without a configuration where none is needed.

    Raises:
        ConfigError: As for `chosen_site`.
    """
    from engine.runtime.site_folders import SITES_FOLDER

    data: Path = arguments.data
    if arguments.site is None and not (data / SITES_FOLDER).is_dir():
        # A history can be saved and put back whatever is wrong with the configuration.
        return data
    return chosen_site(arguments).data
