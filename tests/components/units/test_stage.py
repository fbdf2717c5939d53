"""What Dagster's UI says of where a unit stood when the definitions were loaded."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_defs.adapters.store.ledger import NAME
from dagster_defs.adapters.store.proxied_state import write_mark
from dagster_defs.lifecycle import Stage, Unit, tags
from tests.components.conftest import NEW_YORK_DAYS, Project
from tests.support.owned import bring_to

UNIT = Unit("own", "export")
THING, SHADOW = dg.AssetKey("thing"), dg.AssetKey(["shadow", "thing"])


@pytest.fixture
def folder(project: Project) -> Iterator[Path]:
    """The project's ledger and marks, empty before and after: others load the same project."""
    folder = Path(project.estate.settings["PARITY_PROXIED_STATE"])
    shutil.rmtree(folder, ignore_errors=True)
    unit = {"unit": str(UNIT), "schedule": NEW_YORK_DAYS, "function": "include.export.export_daily",
            "outputs": [{"key": "thing"}]}  # fmt: skip
    project.declare("own", ("PythonUnit", unit))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def spec(project: Project, key: dg.AssetKey = THING) -> dg.AssetSpec:
    return project.load().resolve_assets_def(key).get_asset_spec(key)


def stage_and_owner(said: Mapping[str, str]) -> tuple[str | None, str | None]:
    return said.get(tags.STAGE), said.get(tags.OWNER)


@pytest.mark.parametrize(
    ("stage", "owner"),
    [(Stage.OBSERVED, "airflow"), (Stage.SHADOWED, "airflow"), (Stage.CUT_OVER, "dagster"), (Stage.RETIRED, "dagster")],
)  # fmt: skip
def test_assets_say_where_their_unit_stands(project: Project, folder: Path, stage: Stage, owner: str) -> None:
    """Stage and owner are tags of both sides' assets, by which Dagster's UI filters."""
    bring_to(folder, UNIT, stage)
    if stage is Stage.CUT_OVER:
        write_mark(folder, UNIT, proxied=True)

    assert stage_and_owner(spec(project).tags) == (stage.value, owner)
    assert stage_and_owner(spec(project, SHADOW).tags) == (stage.value, owner)


def test_a_retired_unit_is_no_task_of_airflows(project: Project, folder: Path) -> None:
    """The metadata by which Airlift maps an asset to an Airflow task is there until the unit is retired."""
    bring_to(folder, UNIT, Stage.SHADOWED)
    assert spec(project).metadata[tags.TASK_MAPPING] == [{"dag_id": "own", "task_id": "export"}]

    shutil.rmtree(folder)
    bring_to(folder, UNIT, Stage.RETIRED)
    assert tags.TASK_MAPPING not in spec(project).metadata


def spoil_ledger(folder: Path) -> None:
    (folder / NAME).write_text("<<<<<<< a merge\n")


def spoil_marks(folder: Path) -> None:
    (folder / "own.yaml").write_text("tasks: [")


@pytest.mark.parametrize("spoil", [spoil_ledger, spoil_marks])
def test_definitions_load_whatever_the_ledger_is_like(
    project: Project, folder: Path, spoil: Callable[[Path], Any]
) -> None:
    """A ledger or a mark that cannot be read costs the tags, and not the code location."""
    folder.mkdir()
    spoil(folder)

    found = spec(project)

    assert stage_and_owner(found.tags) == (None, None)
    assert found.tags[tags.UNIT] == str(UNIT)


def test_the_tags_follow_the_ledger(project: Project, folder: Path) -> None:
    """A second load in the same process reads what has been written meanwhile."""
    bring_to(folder, UNIT, Stage.SHADOWED)
    assert spec(project).tags[tags.STAGE] == "shadowed"

    shutil.rmtree(folder)
    bring_to(folder, UNIT, Stage.CUT_OVER)
    write_mark(folder, UNIT, proxied=True)
    assert stage_and_owner(spec(project).tags) == ("cut_over", "dagster")
