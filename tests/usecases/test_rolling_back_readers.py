"""A rollback of a task that reads the XComs of a mapped one: both return to Airflow, or neither."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dagster_defs.adapters.store.proxied_state import write_mark
from dagster_defs.errors import MirrorsUnreadable, SourceLeftBehind
from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.lifecycle.gates import Proposal
from dagster_defs.lifecycle.stages import Move
from dagster_defs.settings import Settings
from dagster_defs.usecases.move import facts
from dagster_defs.usecases.move.propose import propose
from tests.support.inventory_samples import read_from
from tests.support.owned import bring_to

SOURCE, READER, OTHER = (Unit("shop", name) for name in ("regions", "mail", "other"))


@pytest.fixture
def cut_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three units of one DAG that are Dagster's; their mirrors cannot be loaded, which no rollback needs."""

    def unreadable(_: Path) -> None:
        raise MirrorsUnreadable(tmp_path, "no mirrors here")

    monkeypatch.setattr(facts, "load_mirrors", unreadable)
    for unit in (SOURCE, READER, OTHER):
        write_mark(bring_to(tmp_path, unit, Stage.CUT_OVER), unit, proxied=True)
    return tmp_path


def settings(folder: Path, inventory: str = "") -> Settings:
    return Settings({"PARITY_PROXIED_STATE": str(folder), "PARITY_INVENTORY": inventory}, folder)


@pytest.fixture
def known(cut_over: Path) -> Settings:
    inventory = cut_over / "inventory.json"
    inventory.write_text(json.dumps(read_from(SOURCE, READER)))
    return settings(cut_over, str(inventory))


def test_a_reader_does_not_return_alone(known: Settings) -> None:
    """The refusal names both tasks, says what would happen, and has the command that rolls both back."""
    with pytest.raises(SourceLeftBehind) as refused:
        propose(known, Move.ROLLBACK, [str(READER)])

    said = str(refused.value)
    assert said.startswith(
        "cannot roll back shop.mail without shop.regions: the XComs of a mapped task are read in"
    )
    assert "(shop.regions by shop.mail), which would find none while Dagster runs it" in said
    assert said.endswith("parity rollback shop.mail shop.regions --apply")


@pytest.mark.parametrize("units", [(READER, SOURCE), (SOURCE,), (OTHER,)], ids=["both", "source", "other"])
def test_whatever_leaves_no_source_behind_returns(known: Settings, units: tuple[Unit, ...]) -> None:
    """Both together can return, and so can the source, which Dagster then no longer runs, and what reads nothing."""
    proposals = propose(known, Move.ROLLBACK, [str(unit) for unit in units])

    assert all(isinstance(proposal, Proposal) and not proposal.blockers for proposal in proposals)
    assert len(proposals) == len(units)


def test_the_source_may_be_back_already(known: Settings, cut_over: Path) -> None:
    """A mapped task that Airflow runs again does not hold up its readers."""
    write_mark(cut_over, SOURCE, proxied=False)

    assert len(propose(known, Move.ROLLBACK, [str(READER)])) == 1


@pytest.mark.parametrize("content", [None, "{"], ids=["none", "broken"])
def test_the_way_back_needs_no_inventory(cut_over: Path, content: str | None) -> None:
    """Without an inventory, or with one that cannot be read, nothing is refused: Airflow itself makes the task fail."""
    file = cut_over / "broken.json"
    if content:
        file.write_text(content)

    proposals = propose(settings(cut_over, str(file) if content else ""), Move.ROLLBACK, [str(READER)])

    assert len(proposals) == 1
