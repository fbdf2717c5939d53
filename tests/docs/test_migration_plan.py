"""migration_plan.md: its status block, and the snippets of its runbooks."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagster_defs import render
from dagster_defs.errors import MigrationPlanUnreadable
from dagster_defs.lifecycle import Stage, Unit, UnitState
from dagster_defs.lifecycle.status import Status
from dagster_defs.usecases.migration_plan import BEGIN, END, MigrationPlan
from tests.docs.conftest import Parity


@pytest.fixture
def plan(tmp_path: Path) -> MigrationPlan:
    path = tmp_path / "plan.md"
    path.write_text(f"# Plan\n\n{BEGIN}\nold\n{END}\n\nThe rest.\n")
    return MigrationPlan(path)


def test_the_status_block_is_current(run_parity: Parity) -> None:
    """The block in the repository is what `parity migration-plan` says now."""
    answer = run_parity("migration-plan", "--check")
    assert answer.returncode == 0, answer.stderr


def test_a_stale_block_ends_with_3(run_parity: Parity, tmp_path: Path) -> None:
    """A unit that was marked since makes `parity migration-plan --check` exit 3 and say what to do."""
    (tmp_path / "taxi_daily.yaml").write_text("tasks:\n- {id: dbt_daily, proxied: true}\n")
    answer = run_parity("migration-plan", "--check", env={"PARITY_PROXIED_STATE": str(tmp_path)})
    assert answer.returncode == 3
    assert "| `taxi_daily.dbt_daily` | cut_over | dagster |" in answer.stdout
    assert "parity migration-plan --write" in answer.stderr


def test_writing_changes_the_block_only(plan: MigrationPlan) -> None:
    """What people wrote around the block stays as it is, byte for byte."""
    assert plan.write("new")
    assert plan.path.read_text() == f"# Plan\n\n{BEGIN}\n\nnew\n\n{END}\n\nThe rest.\n"


def test_writing_twice_changes_nothing(plan: MigrationPlan) -> None:
    """A block that is current is not written again."""
    plan.write("new")
    assert plan.is_current("new")
    assert not plan.write("new\n")


def test_nothing_is_left_beside_it(plan: MigrationPlan) -> None:
    """The file is replaced at once; no temporary file stays."""
    plan.write("new")
    assert [path.name for path in plan.path.parent.iterdir()] == ["plan.md"]


@pytest.mark.parametrize("text", ["# Plan without a block\n", f"{BEGIN}\nno end\n", f"{END}\n{BEGIN}\n"])
def test_a_plan_without_its_markers_is_refused(plan: MigrationPlan, text: str) -> None:
    """A file that lost a marker is left alone, and the error says which lines it needs."""
    plan.path.write_text(text)
    with pytest.raises(MigrationPlanUnreadable, match=r"status block must stand between"):
        plan.write("new")
    assert plan.path.read_text() == text


def test_a_missing_plan_is_an_error(tmp_path: Path) -> None:
    """No file, no block: the error names the path."""
    with pytest.raises(MigrationPlanUnreadable, match=r"nowhere\.md"):
        MigrationPlan(tmp_path / "nowhere.md").is_current("")


def test_the_block_names_marks_without_a_mirror() -> None:
    """A task that is marked and not mirrored is in the block, where readers of the plan see it."""
    state = UnitState(Unit("d", "t"), Stage.CUT_OVER)
    block = render.plan_block(Status((state,), (Unit("d", "other"),), ()))
    assert block.splitlines()[0] == "1 units: 1 cut over."
    assert block.endswith("Marked as proxied without a mirror: `d.other`.")


def test_the_block_of_nothing() -> None:
    """Without a mirror the block says so."""
    assert render.plan_block(Status((), (), ())).startswith("No unit is mirrored.")
