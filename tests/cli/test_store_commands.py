"""`parity store`, and moves of units whose record is in PostgreSQL."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from dagster_defs.adapters.store.proxied_state import write_mark
from dagster_defs.lifecycle import Unit
from tests.support.documents import document, fenced
from tests.support.night import FORCED, ZONES, Night
from tests.support.postgres import PostgresServer
from tests.support.records import forget, store_at, url_of

UNIT = Unit.parse(ZONES)


@pytest.fixture
def recorded(night: Night, postgres: PostgresServer) -> Iterator[Night]:
    """An estate whose record was imported into PostgreSQL; its file is gone."""
    forget(postgres)
    night.monkeypatch.setenv("PARITY_STORE", url_of(postgres))
    assert night.parity("store", "init").returncode == 0
    assert night.parity("store", "import").returncode == 0
    (night.folder / "ledger.jsonl").unlink()
    yield night
    forget(postgres)


def test_init_is_harmless(night: Night, postgres: PostgresServer) -> None:
    """It makes the store, and run again it says that it is there; before it, every command that reads is an error."""
    forget(postgres)
    night.monkeypatch.setenv("PARITY_STORE", url_of(postgres))
    for command in (("store", "status"), ("store", "check"), ("store", "import"), ("status",)):
        refused = night.parity(*command)
        assert refused.returncode == 1
        assert "there is no store at postgresql://postgres@/" in refused.stderr
        assert "create it: parity store init" in refused.stderr

    made, again = (night.parity("store", "init", "--json") for _ in range(2))

    assert json.loads(made.stdout) == {
        "schema": "parity/store-init/1", "place": made_place(postgres), "before": "", "after": "2",
    }  # fmt: skip
    assert json.loads(again.stdout)["before"] == "2"
    assert "is there already, version 2" in night.parity("store", "init").stdout


def test_an_import_is_verified_and_done_once(night: Night, postgres: PostgresServer) -> None:
    """Ledger and marks arrive whole; the same import again changes nothing, and another record is refused."""
    forget(postgres)
    write_mark(night.folder, UNIT, proxied=False)
    night.monkeypatch.setenv("PARITY_STORE", url_of(postgres))
    night.parity("store", "init")

    done = night.parity("store", "import", "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "schema": "parity/store-import/1", "source": f"file:{night.folder}", "place": made_place(postgres),
        "entries": 6, "marks": 1, "is_new": True,
    }  # fmt: skip
    again = night.parity("store", "import", str(night.folder))
    assert again.returncode == 0
    assert "6 entries and 1 marks of file:" in again.stdout
    assert "are there already" in again.stdout
    write_mark(night.folder, UNIT, proxied=True)
    refused = night.parity("store", "import")
    assert refused.returncode == 2
    assert "it holds another record, with 6 entries and 1 marks" in refused.stderr
    checked = night.parity("store", "check", "--json")
    assert checked.returncode == 3
    assert [drift["about"] for drift in json.loads(checked.stdout)["drifts"]] == ["taxi_daily"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param({"taxi_daily.yaml": "proxied: true\n"}, "is marked as a whole", id="a whole DAG"),
        pytest.param({"taxi_daily.yaml": "tasks: [x]\n"}, "'x' is not an `id`", id="a mark in doubt"),
        pytest.param({"ledger.jsonl": "{}\n"}, "not an entry of a ledger", id="a bad line"),
    ],
)
def test_what_is_in_doubt_is_not_imported(
    night: Night, postgres: PostgresServer, spoil: dict[str, str], said: str
) -> None:
    """A record that cannot be understood is refused with the reason, and the store stays empty."""
    forget(postgres)
    for name, text in spoil.items():
        (night.folder / name).write_text(text)
    night.monkeypatch.setenv("PARITY_STORE", url_of(postgres))
    night.parity("store", "init")

    refused = night.parity("store", "import")

    assert refused.returncode == 2
    assert f"cannot import file:{night.folder}: " in refused.stderr
    assert said in refused.stderr
    assert store_at(url_of(postgres), None).figures().entries == 0


def test_a_unit_is_moved_there_and_back(recorded: Night, postgres: PostgresServer) -> None:
    """A cutover and a rollback write entries and marks in the database and the marks that Airflow reads, and no
    ledger beside them."""
    store = store_at(url_of(postgres), recorded.folder)
    moved = recorded.parity("cutover", ZONES, *FORCED)

    assert moved.returncode == 0, moved.stderr
    assert recorded.marked()
    assert store.marks().get(UNIT) is True
    assert recorded.stage()["stage"] == "cut_over"
    assert recorded.parity("store", "check").returncode == 0
    back = recorded.parity("rollback", ZONES, "--apply")
    assert back.returncode == 0, back.stderr
    assert not recorded.marked()
    assert store.marks().get(UNIT) is False
    figures = json.loads(recorded.parity("store", "status", "--json").stdout)
    assert {name: figures[name] for name in ("entries", "units", "marks", "position", "held")} == {
        "entries": 10, "units": 3, "marks": 1, "position": 10, "held": [],
    }  # fmt: skip
    assert not (recorded.folder / "ledger.jsonl").exists()


def test_an_old_copy_in_airflow_is_seen_and_put_right(recorded: Night) -> None:
    """If the folder that Airflow reads goes back to an older state, status and check say so, moves forward are blocked,
    and `resume` puts it right."""
    recorded.parity("cutover", ZONES, *FORCED)
    write_mark(recorded.folder, UNIT, proxied=False)

    checked = recorded.parity("store", "check")
    assert checked.returncode == 3
    assert (
        "warning: taxi_daily: of dbt_zones Airflow has been told Airflow, the record says Dagster"
        in checked.stderr
    )
    status = recorded.parity("status", "--json")
    assert status.returncode == 1
    assert json.loads(status.stdout)["drifted"] == [ZONES]
    assert recorded.parity("resume", ZONES, "--apply").returncode == 0
    assert recorded.marked()
    assert recorded.parity("store", "check").returncode == 0


def test_without_airflows_folder_no_move_begins(recorded: Night, postgres: PostgresServer) -> None:
    """A move that sets a mark is refused before its intent if it is not said where Airflow reads its marks."""
    recorded.monkeypatch.delenv("PARITY_PROXIED_STATE")

    refused = recorded.parity("cutover", ZONES, *FORCED)

    assert refused.returncode == 2
    assert "PARITY_PROXIED_STATE is not set" in refused.stderr
    assert store_at(url_of(postgres), None).figures().entries == 6
    held = recorded.parity("hold", ZONES, "--apply", "--reason", "an audit")
    assert held.returncode == 0, held.stderr


def test_a_server_that_is_away_stops_everything(recorded: Night, tmp_path: Path) -> None:
    """With the store's server away, what looks and what moves is an error with its place, and nothing is begun."""
    recorded.monkeypatch.setenv("PARITY_STORE", f"postgresql://ada:s3cr3t@/record?host={tmp_path}")
    for command in (
        ("status",),
        ("cutover", ZONES, *FORCED),
        ("rollback", ZONES, "--apply"),
        ("store", "check"),
    ):
        refused = recorded.parity(*command)
        assert refused.returncode == 1, command
        assert "the store postgresql://ada@" in refused.stderr
        assert "does not answer" in refused.stderr
        assert "s3cr3t" not in refused.stderr + refused.stdout
    assert not recorded.marked()


def test_a_folder_is_a_store_too(night: Night, tmp_path: Path) -> None:
    """`store` makes, describes and checks files, and refuses to import into them."""
    night.monkeypatch.delenv("PARITY_PROXIED_STATE")
    night.monkeypatch.setenv("PARITY_STORE", f"file:{tmp_path}/record")
    assert night.parity("store", "status").returncode == 1
    assert "made, version parity/ledger/1" in night.parity("store", "init").stdout
    assert night.parity("store", "check").returncode == 0
    assert json.loads(night.parity("store", "status", "--json").stdout)["entries"] == 0
    assert "files do not tell" in night.parity("store", "status").stdout
    refused = night.parity("store", "import", str(night.folder))
    assert refused.returncode == 2
    assert "files, which need no import" in refused.stderr


def made_place(server: PostgresServer) -> str:
    return f"postgresql://postgres@{server.socket_dir}/parity"


def test_the_documented_commands(night: Night, postgres: PostgresServer) -> None:
    """Those of docs/adopting.md as they stand, with the database of this test in place of the team's."""
    forget(postgres)
    section = document("docs/adopting.md").section("#### The record in PostgreSQL")
    block = fenced(section, "console")[0]
    [first, *lines] = [shlex.split(line.removeprefix("$ ")) for line in block.splitlines()]
    assert first[0] == "export"
    assert first[1].startswith("PARITY_STORE=postgresql://")
    night.monkeypatch.setenv("PARITY_STORE", url_of(postgres))

    done = [night.parity(*arguments) for program, *arguments in lines if program == "parity"]

    assert [answer.returncode for answer in done] == [0, 0, 0], [answer.stderr for answer in done]
    forget(postgres)
