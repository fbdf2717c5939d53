"""What explains, plans and shows is given what can only read."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dagster_defs.adapters.airflow.address import AirflowAddress
from dagster_defs.adapters.airflow.client import AirflowClient, AirflowReader
from dagster_defs.adapters.dagster.api import DagsterClient, DagsterReader
from dagster_defs.adapters.store.files import FileReader, FileStore
from dagster_defs.adapters.store.ledger import Ledger, LedgerReader
from dagster_defs.adapters.store.postgres.store import PostgresReader, PostgresStore
from dagster_defs.adapters.store.seam import Store, StoreReader
from dagster_defs.errors import NoSuchUnit
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.facts import Live
from dagster_defs.lifecycle.gates import Proposal
from dagster_defs.lifecycle.stages import Move
from dagster_defs.settings import Settings
from dagster_defs.usecases.move import propose as proposing
from dagster_defs.usecases.move.live import LiveFacts, LiveReader
from dagster_defs.usecases.move.orchestrators import LiveOrchestrators
from tests.support.estate import ROOT

OF_A_STORE = {"append", "moving", "mark", "refuse_unmarkable", "create", "take_in", "probe", "heartbeats"}
# Each reader beside the class that writes too, and what that one adds.
READERS = {
    AirflowReader: (
        AirflowClient,
        {
            "trigger",
            "note_end",
            "note_success",
            "set_paused",
            "make_pool",
            "parse_soon",
            "set_variable",
            "begin",
        },
    ),
    DagsterReader: (DagsterClient, {"launch", "terminate", "reload"}),
    LedgerReader: (Ledger, {"append", "moving"}),
    StoreReader: (Store, OF_A_STORE),
    FileReader: (FileStore, OF_A_STORE),
    PostgresReader: (PostgresStore, OF_A_STORE),
}
WRITING = {name for _, names in READERS.values() for name in names} | {"mark", "wake", "rest", "end_runs"}

# Names of what can change something; none of them stands in a file that only looks.
WRITERS = frozenset(
    {
        "AirflowClient",
        "DagsterClient",
        "Ledger",
        "Store",
        "FileStore",
        "PostgresStore",
        "open_store",
        "LiveOrchestrators",
        "Mover",
        "write_mark",
        "apply",
        "carry_out",
    }
)
LOOKING = (
    "airflow_values",
    "check",
    "continuity",
    "explain",
    "inventory",
    "keys",
    "observe",
    "report",
    "status",
    "verify",
    "windows",
    "move/facts",
    "move/live",
    "move/next_run",
    "move/propose",
    "shadow/standing",
    "shadow/upstream_writes",
)


def writers_in(program: str) -> set[str]:
    """The names of writers that a program imports, as a name or as a module."""
    return {part for name in _imported(program) for part in name.split(".") if part in WRITERS}


def _imported(program: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module or ''}.{alias.name}" for alias in node.names)


def public(kind: type[Any]) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


@pytest.mark.parametrize("reader", READERS, ids=lambda kind: kind.__name__)
def test_a_reader_has_no_writing_method(reader: type[Any]) -> None:
    """Its writing twin has all that it has, and exactly the methods besides that change something."""
    writer, names = READERS[reader]

    assert reader in writer.__mro__
    assert public(writer) - public(reader) == names
    assert not public(reader) & WRITING


def test_a_plans_facts_come_from_readers() -> None:
    """What a plan is handed cannot write, nor can what it holds, and the protocol has nothing but the look."""
    held = LiveReader.of(Settings())

    assert {name for name in vars(LiveFacts) if not name.startswith("_")} == {"live"}
    assert not public(LiveReader) & WRITING
    assert (type(held.airflow), type(held.dagster)) == (AirflowReader, DagsterReader)
    assert public(LiveOrchestrators) & WRITING  # so that the names above are those of the real thing


@pytest.mark.parametrize("module", LOOKING)
def test_what_looks_names_nothing_that_writes(module: str) -> None:
    """No file that explains, plans or shows imports a class or a function that changes anything."""
    assert writers_in(Path(ROOT / "dagster_defs" / "usecases" / f"{module}.py").read_text()) == set()


@pytest.mark.parametrize(
    "program",
    [
        "from dagster_defs.adapters.store.ledger import Ledger",
        "from dagster_defs.adapters.store.registry import open_store",
        "from dagster_defs.usecases.move import apply",
        "from dagster_defs.usecases.move.apply import carry_out",
        "def f():\n    from dagster_defs.adapters.airflow.client import AirflowClient as Reader",
        "import dagster_defs.usecases.move.carry_out",
    ],
)
def test_a_planted_writer_is_seen(program: str) -> None:
    """By whatever name it comes, inside a function too."""
    assert writers_in(program)


class Facts:
    """Servers that are well, and that cannot be told anything."""

    def live(self, unit: Unit, now: Any, mirrored: Any = None, sensors: Any = ()) -> Live:
        return Live("", "")


def test_a_plan_is_made_without_a_writing_method(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`propose` needs of the servers what `LiveFacts` has, and of the folder nothing that would be written to it."""
    facts: LiveFacts = Facts()  # mypy: it fulfils the protocol
    monkeypatch.setattr(LiveReader, "of", lambda settings: facts)
    state = tmp_path / "state"
    settings = Settings({"PARITY_PROXIED_STATE": str(state)})
    proposals = proposing.propose(settings, Move.SHADOW, ["taxi_daily.dbt_daily"])

    [proposal] = proposals
    assert isinstance(proposal, Proposal)
    assert str(proposal.plan.unit) == "taxi_daily.dbt_daily"
    assert proposal.plan.steps
    assert not state.exists()
    with pytest.raises(NoSuchUnit):
        proposing.propose(settings, Move.SHADOW, ["nobody.nothing"])


def test_the_addresses_are_handed_down() -> None:
    """A reader is made from the settings, and from nothing else."""
    held = LiveReader.of(Settings({"AIRFLOW_URL": "http://a.example", "DAGSTER_URL": "http://d.example"}))

    assert held.airflow.address == AirflowAddress("http://a.example")
    assert held.dagster.url == "http://d.example"
    assert "settings" in inspect.signature(LiveReader.of).parameters
