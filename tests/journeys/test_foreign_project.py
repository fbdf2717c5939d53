"""Somebody else's Dagster project, from its scaffolding to a cutover and back, by the wheels alone."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from bench.environments import Environment
from dagster_defs.adapters.processes.waiting import say_nothing
from dagster_defs.lifecycle import Unit
from dagster_defs.usecases.move.orchestrators import LiveOrchestrators
from tests.support.documents import document, fenced
from tests.support.estate import ROOT
from tests.support.foreign_project import ForeignProject, Running, running

pytestmark = [pytest.mark.journey, pytest.mark.airflow, pytest.mark.timeout(3000)]

THEIRS = ROOT / "tests" / "journeys" / "shop"
DAG = "orders_daily"
UNITS = (f"{DAG}.dbt_orders", f"{DAG}.dbt_stock")
LAST_TASK = Unit(DAG, "dbt_stock")
OBSERVED = "2024-03-12"  # the last day before any comparison, as in the document's commands
COMPARED, CUT_OVER, ROLLED_BACK = "2024-03-13", "2024-03-14", "2024-03-15"
DAYS = tuple(f"2024-03-{day:02}" for day in range(9, 16))
GATES = {
    "windows": 1,
    "soak_days": 0,
    "soak_windows": 1,
    "slack": 600,
    # The inventory does not say which dbt runs, and what is in stock is not made from the orders.
    "undetermined": ["ordering", "runtime"],
}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        ["make", "dist", f"DIST={folder}"], cwd=ROOT, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def project(wheels: Path) -> Iterator[ForeignProject]:
    # Not pytest's own folder, which is closed to others: started by root, PostgreSQL runs as another user.
    with tempfile.TemporaryDirectory(prefix="shop-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        place.chmod(0o755)
        variables = {
            "SHOP_HOME": folder,
            "SHOP_DATA": str(place / "data"),
            "AIRFLOW_HOME": str(place / "airflow"),
            "PARITY_PROXIED_STATE": str(place / "marks"),
        }
        rehearsal = {"PARITY_REHEARSAL_DIR": str(place / "rehearsal")}
        python = Path(sys.executable)
        found = ForeignProject(
            place,
            Environment(place / "env" / "dagster", python, {**variables, **rehearsal}),
            Environment(place / "env" / "airflow", python, variables),
        )
        found.make(THEIRS, wheels)
        (place / "data").mkdir()
        yield found


@pytest.fixture(scope="module")
def adopted(project: ForeignProject) -> str:
    """The four commands, and then the team's own gates; what the last one said."""
    project.must("parity", "init")
    span = ("--from", DAYS[0], "--to", "2024-03-16")
    project.must("airflow-inventory", "--dags-folder", "../dags", *span, "--out", "inventory.json")
    projects = ("--dbt-project", "../orders", "--dbt-project", "../stock")
    project.must("parity", "scaffold", "inventory.json", *projects)
    project.must("dg", "check", "defs")
    said = project.must("parity", "verify", "--inventory", "inventory.json")
    project.dagster.variables["PARITY_INVENTORY"] = str(project.root / "inventory.json")

    def decide(attributes: dict[str, Any]) -> None:
        if "unit" in attributes:
            attributes["gates"] = GATES
        else:
            attributes["poll_seconds"] = 4

    project.edit(decide)
    return said


def test_nothing_of_this_repository_is_on_a_path(project: ForeignProject, adopted: str) -> None:
    """Either environment finds our packages in its own folder, and its path has no folder of this repository."""
    for side, package in ((project.dagster, "dagster_defs"), (project.airflow, "handover")):
        program = f"import sys, {package}; print({package}.__file__); print(*sys.path, sep='\\n')"
        done = subprocess.run(
            [str(side.programs / "python"), "-c", program],
            env=side.surroundings,
            cwd=project.root,
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        found, *path = done.stdout.splitlines()

        assert Path(found).is_relative_to(side.folder)
        assert not [part for part in path if Path(part or os.curdir).is_relative_to(ROOT)]
        assert str(ROOT) not in " ".join(side.surroundings.values())


def test_four_commands_are_enough(project: ForeignProject, adopted: str) -> None:
    """Both dbt projects are mirrored, the model that both have under two keys, and nothing differs from Airflow."""
    assert "0 differs" in adopted
    listed = project.must("dg", "list", "defs", "--json")

    for key in ("calendar", "orders", "stock/calendar", "stock/taken"):
        assert f'"{key}"' in listed


def test_a_window_is_rehearsed(project: ForeignProject, adopted: str) -> None:
    """Without Airflow: the last day by its rendered command, and by Dagster, in folders of their own."""
    for unit in UNITS:
        said = project.must("parity", "rehearse", unit, "--last", "1")

        assert re.search(r"^([1-9]\d*)/\1 match", said, re.MULTILINE), said
    assert not [*(project.place / "data").iterdir()]


def test_a_mirror_is_begun_by_hand(project: ForeignProject) -> None:
    """The document's commands that scaffold two mirrors, as they stand, in a second project."""
    second = project.place / "second"
    project.dagster.run("create-dagster", "project", str(second), "--no-uv-sync", cwd=project.place)

    for program, *arguments in commands("## 3. A mirror for each unit"):
        project.dagster.run(program, *arguments, cwd=second)

    written = second / "src" / "second" / "defs"
    assert {file.parent.name for file in written.rglob("defs.yaml")} == {"orders_daily", "orders_load"}


def commands(heading: str) -> list[list[str]]:
    """What the blocks of a section of docs/adopting.md tell a person to type, but for those that set a variable: they
    are about a database of the team's."""
    blocks = fenced(document("docs/adopting.md").section(heading), "console")
    lines = [line for block in blocks if "$ export " not in block for line in block.splitlines()]
    return [shlex.split(line.removeprefix("$ ")) for line in lines if line.startswith("$ ")]


@pytest.fixture(scope="module")
def shop(project: ForeignProject, adopted: str) -> Iterator[Running]:
    with running(project, say_nothing) as found:
        found.start()
        yield found


def run_up_to(shop: Running, day: str) -> None:
    """Let Airflow run the days up to that one, and no other: it is paused as soon as the last task has begun."""
    world = LiveOrchestrators.of(shop.settings, patience=20)
    shop.api.set_paused(DAG, paused=False)

    def last_task_has_begun() -> bool:
        begun = shop.api.task_instances_in(LAST_TASK, ("queued", "running", "success"))
        return any(task.run_id.startswith(f"scheduled__{day}") for task in begun)

    shop.wait(f"the run of {day}", last_task_has_begun)
    shop.api.set_paused(DAG, paused=True)
    shop.wait(f"the end of {day}", lambda: not world.rest(LAST_TASK, may_wake=True))


def conditions(shop: Running) -> set[tuple[str, str]]:
    """Stage and condition of each unit, as `parity status` says them."""
    return {(unit["stage"], unit["condition"]) for unit in shop.project.shown("status")["units"]}


@pytest.fixture(scope="module")
def compared(shop: Running) -> Running:
    """Four days of Airflow's, then the document's commands as they stand, and a day that the sensor compares."""
    run_up_to(shop, OBSERVED)
    for program, *arguments in commands("## 4. Run both"):
        shop.project.must(program, *arguments)
    run_up_to(shop, COMPARED)
    shop.project.must("parity", "rollback", DAG, "--rehearsed", "--reason", "tried on another DAG", "--apply")
    shop.wait("the day's verdicts", lambda: conditions(shop) == {("shadowed", "ready")})
    return shop


def test_what_was_compared_matched(compared: Running) -> None:
    """Old windows by the document's commands, the new one by the sensor: each verdict of both units."""
    for unit in compared.project.shown("status")["units"]:
        assert re.fullmatch(r"([1-9]\d*)/\1 match", unit["evidence"]), unit


@pytest.fixture(scope="module")
def moved(compared: Running) -> Running:
    """Cut over for a day and rolled back for one."""
    compared.project.must("parity", "cutover", DAG, "--apply")
    run_up_to(compared, CUT_OVER)
    compared.project.must("parity", "rollback", DAG, "--apply")
    run_up_to(compared, ROLLED_BACK)
    return compared


def test_each_day_has_one_writer(moved: Running) -> None:
    """Airflow, then Dagster through Airflow's proxy, and Airflow again."""
    moved.wait(
        "what Dagster has observed", lambda: {(unit, DAYS[-1]) for unit in UNITS} <= written(moved).keys()
    )

    for unit in UNITS:
        owners = [written(moved)[unit, day] for day in (COMPARED, CUT_OVER, ROLLED_BACK)]
        assert owners == ["airflow", "dagster", "airflow"]


def written(shop: Running) -> dict[tuple[str, str], str]:
    """Who wrote each unit's days."""
    return {
        (unit["unit"], day): owner
        for unit in shop.project.shown("windows", DAG)["units"]
        for owner, spans in unit["written"].items()
        for span in spans
        for day in DAYS
        if span["first"] <= day <= span["last"]
    }


def test_the_tables_are_those_of_the_models(moved: Running) -> None:
    """Every day stands once in the tables where Airflow writes, with the rows that the models say."""
    expected = {
        "orders": "select day, number, 5 + hash(day || ' ' || number) % 90 from days, range(1, 8) as those (number)",
        "stock": """
            select day, number, case when dayofweek(day) in (0, 6) then 0 else hash(day || ' ' || number) % 5 end
            from days, range(1, 4) as those (number)
        """,
    }
    for project, table in (("orders", "orders"), ("stock", "taken")):
        file = moved.project.place / "data" / f"legacy_{project}.duckdb"
        with duckdb.connect(str(file), read_only=True) as connection:
            rows = connection.execute(f"from {table} order by all").fetchall()
            days = "with days as (select unnest($1)::date as day)"
            assert (
                rows
                == connection.execute(f"{days} {expected[project]} order by all", [list(DAYS)]).fetchall()
            )
