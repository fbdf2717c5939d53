"""PARITY_STORE: which store it names, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagster_defs.adapters.store.files import FileReader, FileStore
from dagster_defs.adapters.store.registry import open_store, store_reader
from dagster_defs.errors import BadStore, StoreMissing
from dagster_defs.lifecycle import Unit
from dagster_defs.settings import Settings

UNIT = Unit("taxi_daily", "dbt_daily")


def test_without_it_the_record_is_in_proxied_state(tmp_path: Path) -> None:
    """Nothing changes for whoever does not set it: the folder is that of the marks, and may be missing at first."""
    settings = Settings({"PARITY_PROXIED_STATE": str(tmp_path / "state")}, tmp_path)

    assert store_reader(settings) == FileReader(tmp_path / "state")
    assert open_store(settings) == FileStore(tmp_path / "state")
    assert store_reader(settings).read().entries == ()
    assert store_reader(Settings({}, tmp_path)) == FileReader(tmp_path / "proxied_state")


@pytest.mark.parametrize("form", ["file:{}", "file://{}"])
def test_a_folder_is_named(tmp_path: Path, form: str) -> None:
    """`file:` and an absolute path, as a URL too; a relative one begins at the project."""
    store = store_reader(Settings({"PARITY_STORE": form.format(tmp_path)}))

    assert store == FileReader(tmp_path, named=True)
    assert (
        store_reader(Settings({"PARITY_STORE": "file:record"}, tmp_path)).place == f"file:{tmp_path}/record"
    )


def test_a_named_folder_has_to_be_there(tmp_path: Path) -> None:
    """A folder that PARITY_STORE names and that does not exist is an error for every call, never an empty record."""
    store = open_store(Settings({"PARITY_STORE": f"file:{tmp_path}/record"}))

    for call in (
        store.read,
        lambda: store.history(UNIT),
        store.marks,
        store.marks_in_airflow,
        lambda: store.mark(UNIT, proxied=True),
        lambda: store.refuse_unmarkable(UNIT),
        lambda: store.moving(UNIT).__enter__(),
    ):
        with pytest.raises(StoreMissing, match=r"no store at file:.*/record: there is no such folder"):
            call()
    assert not (tmp_path / "record").exists()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("s3://bucket/record", r"\(s3\): it is no known kind of store. Write file:"),
        ("/a/folder", r"\(its value\): it is no known kind"),
        ("file:", "names no folder"),
        ("file://server/folder", "names no folder"),
    ],
)
def test_what_cannot_be_understood_is_refused(value: str, said: str) -> None:
    """A value of no known kind is an error that repeats no more of it than its kind."""
    with pytest.raises(BadStore, match=said):
        store_reader(Settings({"PARITY_STORE": value}))


def test_two_folders_are_refused(tmp_path: Path) -> None:
    """Marks in one folder and the record in another would leave Airflow with marks that no move writes."""
    settings = Settings({"PARITY_STORE": f"file:{tmp_path}/a", "PARITY_PROXIED_STATE": str(tmp_path / "b")})

    with pytest.raises(BadStore, match="PARITY_PROXIED_STATE names another folder"):
        store_reader(settings)
