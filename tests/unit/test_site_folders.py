"""Which folder a site's data are in, whatever becomes of the file around it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.domain.errors import ConfigError
from engine.runtime.site_folders import OWNER_NAME, remember_owner, site_folders


def _start(ids: tuple[str, ...], data: Path) -> dict[str, Path]:
    """Return the folders of a start, which makes them."""
    folders = site_folders(ids, data)
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    remember_owner(folders, data)
    return folders


def test_one_site_has_the_data_folder_itself(tmp_path: Path) -> None:
    assert _start(("only",), tmp_path) == {"only": tmp_path}
    assert _start(("renamed",), tmp_path) == {"renamed": tmp_path}


def test_the_first_of_several_has_it_and_the_others_have_their_own(tmp_path: Path) -> None:
    assert _start(("a", "b"), tmp_path) == {"a": tmp_path, "b": tmp_path / "sites" / "b"}


def test_the_site_that_was_there_before_keeps_it_whatever_the_order(tmp_path: Path) -> None:
    _start(("old",), tmp_path)
    folders = _start(("new", "old"), tmp_path)
    assert folders == {"new": tmp_path / "sites" / "new", "old": tmp_path}


def test_order_and_number_of_sites_change_nobodys_folder(tmp_path: Path) -> None:
    first = _start(("a", "b"), tmp_path)
    assert _start(("b", "a"), tmp_path) == first
    assert _start(("b",), tmp_path) == {"b": first["b"]}
    assert _start(("c",), tmp_path) == {"c": tmp_path / "sites" / "c"}
    assert _start(("c", "a", "b"), tmp_path)["a"] == tmp_path


def test_a_record_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / OWNER_NAME).write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be used"):
        site_folders(("a",), tmp_path)
