"""`parity rehearse` on the taxi estate: Airflow's real exporter, real dbt on DuckDB, Dagster's own candidate runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dagster_defs import cli
from dagster_defs.adapters.dagster.mirrors import load_mirrors
from dagster_defs.errors import ParityError
from dagster_defs.parity import Side
from dagster_defs.usecases.rehearse import setup as rehearsal_setup
from tests.support.estate import (
    Estate,
    copy_project,
    export_inventory,
    put_legacy_code_on_path,
)
from tests.support.instances import instance_for_test

pytestmark = [pytest.mark.journey, pytest.mark.airflow]

DAILY, HOURLY, EXPORT = "taxi_daily.dbt_daily", "taxi_hourly.dbt_hourly", "taxi_daily.export_daily"
SPRING = ["2024-03-08", "2024-03-09", "2024-03-10"]  # the second window has 23 hours
WRONG = "rehearsal_wrong"
NOON, ONE = "2024-03-10T12:00-0400", "2024-03-10T13:00-0400"

Rehearse = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four days of the estate as Airflow sees them, three of them rendered day by day and hour by hour."""
    file = tmp_path_factory.mktemp("inventory") / "inventory.json"
    return export_inventory(file, "2024-03-06", "2024-03-10", "2024-03-08/2024-03-11")


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """A copy of the project with its raw files and no database; a test puts back what it changes."""
    with instance_for_test() as instance:
        estate = Estate(copy_project(tmp_path_factory.mktemp("rehearsed")), instance)
        plant_wrong_target(estate.root / "dbt")
        estate.make_landing_data()
        with estate.entered():
            put_legacy_code_on_path()
            from include import ingest

            ingest.load_zones()
            ingest.load_trips("2024-03")
        yield estate


def plant_wrong_target(project: Path) -> None:
    """A candidate target under which one column of hourly_metrics is another; all others are as they were."""
    model = project / "models" / "marts" / "hourly_metrics.sql"
    right, wrong = "then tip_amount else", f"then tip_amount {{{{ '+ 1' if target.name == '{WRONG}' }}}} else"
    assert right in model.read_text()
    model.write_text(model.read_text().replace(right, wrong))
    profiles = project / "profiles.yml"
    name, path = "    rehearsal_candidate:\n", "candidate/candidate.duckdb"
    before, _, after = profiles.read_text().rpartition(name)
    target = name + after[: after.index(path) + len(path)] + '"\n'
    wrong_target = target.replace("rehearsal_candidate", WRONG).replace(path, "wrong/candidate.duckdb")
    profiles.write_text(before + wrong_target + name + after)


@pytest.fixture(scope="module")
def called(ingested: Estate, inventory: Path) -> Iterator[Rehearse]:
    """`parity rehearse --json`, called in this process: the exit code and the document."""

    def run(unit: str, *arguments: str, file: Path = inventory) -> tuple[int, dict[str, Any]]:
        outcome = CliRunner().invoke(
            cli.app, ["rehearse", unit, *arguments, "--inventory", str(file), "--json"]
        )
        assert outcome.stdout, outcome.exception
        return outcome.exit_code, json.loads(outcome.stdout)

    with ingested.entered(), pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(rehearsal_setup, "load_mirrors", lambda _root: load_mirrors(ingested.root))
        monkeypatch.chdir(ingested.root)
        monkeypatch.setenv("PARITY_REHEARSAL_DIR", str(ingested.root / ".rehearsal"))
        yield run


@pytest.fixture(scope="module")
def troubled(called: Rehearse, inventory: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two hours: of the first the legacy run fails, in both the candidate's tips are wrong."""

    def break_noon(task: dict[str, Any]) -> None:
        for sample in task["rendered"]:
            if sample["start"] == "2024-03-10T16:00:00+00:00":
                sample["fields"]["bash_command"] += " --threads nonsense"

    file = changed(inventory, tmp_path_factory.mktemp("troubled"), HOURLY, break_noon)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("PARITY_REHEARSAL_CANDIDATE_TARGET", WRONG)
        exit_code, document = called(HOURLY, "--from", NOON, "--to", ONE, file=file)
    assert exit_code == 3
    return document


@pytest.fixture
def refuse(
    ingested: Estate, inventory: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., str]]:
    """What a rehearsal that is refused says; called in this process, and nothing may have been run."""
    monkeypatch.setattr(rehearsal_setup, "load_mirrors", lambda _root: load_mirrors(ingested.root))

    def run(*arguments: str, file: Path = inventory, **settings: str) -> str:
        for name, value in {"PARITY_REHEARSAL_DIR": str(ingested.root / "refused"), **settings}.items():
            monkeypatch.setenv(name, value)
        outcome = CliRunner().invoke(cli.app, ["rehearse", *arguments, "--inventory", str(file)])
        assert isinstance(outcome.exception, ParityError), outcome.output
        assert not (ingested.root / "refused").exists()
        return f"{outcome.exception.exit_code} {outcome.exception}"

    with ingested.entered():
        yield run


@contextmanager
def replaced(file: Path, old: str, new: str) -> Iterator[None]:
    before = file.read_text()
    assert old in before
    file.write_text(before.replace(old, new))
    try:
        yield
    finally:
        file.write_text(before)


def changed(inventory: Path, folder: Path, unit: str, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of the inventory in which one task is another."""
    document = json.loads(inventory.read_text())
    [task] = [
        task
        for dag in document["dags"]
        for task in dag["tasks"]
        if f"{dag['dag_id']}.{task['task_id']}" == unit
    ]
    change(task)
    file = folder / "changed.json"
    file.write_text(json.dumps(document))
    return file


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def bad(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [check for check in document["checks"] if check["verdict"] != "match"]


def test_three_windows_across_the_spring_change_match(ingested: Estate, inventory: Path) -> None:
    """All windows match in every table and in dbt's own results, with rows; nothing outside of the folder changed."""
    before = contents(ingested.data_dir)

    done = ingested.parity("rehearse", DAILY, "--last", "3", "--inventory", str(inventory), "--json")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 3 windows, " in done.stderr
    document = json.loads(done.stdout)
    assert (document["schema"], document["unit"], document["windows"]) == ("parity/rehearse/1", DAILY, SPRING)
    assert {(check["name"], check["partition"]) for check in document["checks"]} == {
        *(("daily_metrics", day) for day in SPRING),
        *(("dbt results", day) for day in SPRING),
        ("daily_metrics", None),
        ("location_metrics", None),
    }
    assert all(check["rows"]["legacy"] == check["rows"]["candidate"] > 0 for check in document["checks"])
    assert contents(ingested.data_dir) == before


def test_a_mirror_that_is_a_day_late_is_caught(ingested: Estate, inventory: Path) -> None:
    """A variable of the mirror that is off by one day is a mismatch of that unit and window, and of the table."""
    daily = ingested.root / "dagster_defs" / "defs" / "taxi_daily" / "defs.yaml"
    late = 'min_date: { template: "{{ macros.ds_add(data_interval_start | ds, 1) }}", bound: lower }'
    right = 'min_date: { template: "{{ data_interval_start | ds }}", bound: lower }'
    later = 'max_date: { template: "{{ macros.ds_add(data_interval_end | ds, 1) }}", bound: upper }'
    ends = 'max_date: { template: "{{ data_interval_end | ds }}", bound: upper }'

    with replaced(daily, right, late), replaced(daily, ends, later):
        done = ingested.parity(
            "rehearse", DAILY, "--from", SPRING[1], "--inventory", str(inventory), "--json"
        )

    assert done.returncode == 3, done.stderr
    document = json.loads(done.stdout)
    assert [(check["unit"], check["name"], check["partition"]) for check in bad(document)] == [
        (DAILY, "daily_metrics", SPRING[1]),
        (DAILY, "daily_metrics", None),
    ]
    assert {check["verdict"] for check in bad(document)} == {"mismatch"}
    assert bad(document)[0]["rows"]["candidate"] == 0 < bad(document)[0]["rows"]["legacy"]


def test_a_wrong_column_is_named(troubled: dict[str, Any]) -> None:
    """A model that computes one column otherwise on the candidate side is named by unit, window and column."""
    [wrong] = [check for check in bad(troubled) if check["verdict"] == "mismatch"]

    assert (wrong["unit"], wrong["name"], wrong["partition"]) == (HOURLY, "hourly_metrics", ONE)
    assert wrong["differing_columns"] == ["tip_amount"]


def test_a_failing_window_leaves_the_others_alone(troubled: dict[str, Any]) -> None:
    """A legacy run that fails is a row of its own with dbt's reason, and no verdict is drawn from what it left."""
    failed, whole = [check for check in bad(troubled) if check["verdict"] == "inconclusive"]

    assert (failed["name"], failed["partition"]) == ("legacy run", NOON)
    assert "nonsense" in failed["reason"]
    assert (whole["name"], whole["partition"]) == ("hourly_metrics", None)
    assert {check["partition"] for check in troubled["checks"]} == {NOON, ONE, None}


def test_a_function_is_rehearsed(ingested: Estate, called: Rehearse) -> None:
    """A PythonOperator's function runs on both sides, on models that were built for it, into the folder alone."""
    before = contents(ingested.data_dir)

    exit_code, document = called(EXPORT, "--last", "1")

    assert exit_code == 0, document
    [check] = document["checks"]
    assert (check["name"], check["partition"]) == ("daily_metrics_export", SPRING[2])
    assert check["rows"]["legacy"] == check["rows"]["candidate"] > 0
    assert contents(ingested.data_dir) == before


def test_two_legacy_runs_are_quiet(ingested: Estate, inventory: Path) -> None:
    """A deterministic unit's command, run twice, agrees in every window and table; legacy's data stays as it was."""
    before = contents(ingested.data_dir)

    done = ingested.parity(
        "check", DAILY, "--noise", "--from", SPRING[1], "--inventory", str(inventory), "--json"
    )

    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert (document["schema"], document["windows"], document["quiet"]) == (
        "parity/noise/1",
        [SPRING[1]],
        True,
    )
    assert {(check["name"], check["partition"]) for check in document["checks"]} == {
        ("daily_metrics", SPRING[1]),
        ("dbt results", SPRING[1]),
        ("daily_metrics", None),
        ("location_metrics", None),
    }
    assert all(check["rows"]["legacy"] == check["rows"]["candidate"] > 0 for check in document["checks"])
    assert document["tolerances"] == []
    assert contents(ingested.data_dir) == before


def test_noise_is_named(ingested: Estate, inventory: Path, tmp_path: Path) -> None:
    """Columns of random() and now() are named as noise, and with the proposed tolerances both runs match."""
    model = ingested.root / "dbt" / "models" / "marts" / "daily_metrics.sql"
    last = "as total_amount\nfrom trips_with_borough"

    with replaced(model, last, last.replace("\n", ",\nrandom() as lucky, now() as built_at\n")):
        done = ingested.parity("check", DAILY, "--noise", "--from", SPRING[1], "--inventory", str(inventory))

    assert done.returncode == 3, done.stdout + done.stderr
    assert (
        f"mismatch {DAILY}, daily_metrics, {SPRING[1]}: noise: columns lucky, built_at differ" in done.stdout
    )
    said, _, proposed = done.stdout.partition("declare it where the output is compared:")
    assert "\nnoisy\n" in said
    assert proposed.split()[:2] == ["#", "daily_metrics"]
    tolerances = tmp_path / "tolerances.yaml"
    tolerances.write_text(proposed)
    sides = [ingested.root / ".rehearsal" / side.value / f"{side.value}.duckdb" for side in Side]
    key = ["--key", "trip_date", "--key", "pickup_borough"]
    arguments = [*(f"{database}::daily_metrics" for database in sides), *key]
    assert CliRunner().invoke(cli.app, ["compare", *arguments]).exit_code == 3
    declared = CliRunner().invoke(cli.app, ["compare", *arguments, "--tolerances", str(tolerances)])
    assert declared.exit_code == 0, declared.output


def test_the_noise_of_a_function(ingested: Estate, inventory: Path) -> None:
    """A function is called twice for a window: the column in which its two files differ is named."""
    function = ingested.root / "legacy_dags" / "include" / "export.py"
    rows = "    rows = _rows(folders.database, first, end, lock_patience)\n"
    lucky = "    rows = [(*row[:-1], time.time_ns()) for row in rows]\n"

    with replaced(function, rows, rows + lucky):
        done = ingested.parity(
            "check", EXPORT, "--noise", "--from", SPRING[2], "--inventory", str(inventory), "--json"
        )

    assert done.returncode == 3, done.stdout + done.stderr
    [check] = json.loads(done.stdout)["checks"]
    assert (check["name"], check["partition"]) == ("daily_metrics_export", SPRING[2])
    assert check["reason"] == "noise: column total_amount differs between two legacy runs"
    assert check["rows"]["legacy"] == check["rows"]["candidate"] > 0


def test_a_day_names_the_windows_of_hours(ingested: Estate, refuse: Callable[..., str]) -> None:
    """For an hourly unit a day means all of its hours, in a refusal too."""
    said = refuse(HOURLY, "--from", "2024-03-07")

    assert "2024-03-07T00:00-0500, 2024-03-07T01:00-0500" in said


def test_a_window_that_was_not_rendered_is_refused(refuse: Callable[..., str]) -> None:
    """Nothing is guessed: the message has the exporter's command with the span; usage error."""
    said = refuse(DAILY, "--from", "2024-03-07")

    assert said.startswith("2 ")
    assert "--from 2024-03-07 --to 2024-03-07 --window 2024-03-07/2024-03-08" in said


def test_more_windows_than_were_rendered_are_refused(refuse: Callable[..., str]) -> None:
    """`--last 5` with four rendered windows names the one that is missing."""
    assert "for 2024-03-07:" in refuse(DAILY, "--last", "5")


def test_an_opaque_command_is_refused(refuse: Callable[..., str], inventory: Path, tmp_path: Path) -> None:
    """A task whose command hides what it runs is refused by name; usage error."""

    def hide(task: dict[str, Any]) -> None:
        task["templated"]["bash_command"] = "./run_dbt.sh {{ ds }}"
        for sample in task["rendered"]:
            sample["fields"]["bash_command"] = "./run_dbt.sh 2024-03-08"

    said = refuse(DAILY, "--last", "1", file=changed(inventory, tmp_path, DAILY, hide))

    assert said.startswith(f"2 unit {DAILY} cannot be rehearsed")
    assert "run_dbt.sh" in said


def test_a_missing_raw_file_is_named(refuse: Callable[..., str], tmp_path: Path) -> None:
    """Without the raw file of the window's month the message names it, its maker, and a command; an error."""
    said = refuse(DAILY, "--last", "1", TAXI_DATA_DIR=str(tmp_path))

    assert said.startswith("1 ")
    for part in ("raw.trips", "trips_2024-03.parquet", "taxi_ingest.load_trips", "--partition 2024-03-01"):
        assert part in said


@pytest.mark.parametrize("target", ["legacy", "candidate"])
def test_production_targets_are_refused(refuse: Callable[..., str], target: str) -> None:
    """A rehearsal whose target is one that real runs write to does not begin."""
    assert f"the dbt target {target!r} writes" in refuse(DAILY, "--last", "1", PARITY_REHEARSAL_TARGET=target)


def test_one_target_for_both_sides_is_refused(refuse: Callable[..., str]) -> None:
    """Both sides in one database would agree whatever they do."""
    assert "both sides" in refuse(DAILY, "--last", "1", PARITY_REHEARSAL_TARGET="rehearsal_candidate")


def test_a_folder_with_other_files_is_not_emptied(
    refuse: Callable[..., str], ingested: Estate, tmp_path: Path
) -> None:
    """A folder that no rehearsal has made is refused, and stays as it is; so is the folder of real runs."""
    (tmp_path / "thesis.txt").write_text("years of work")

    said = refuse(DAILY, "--last", "1", PARITY_REHEARSAL_DIR=str(tmp_path))

    assert "holds files of somebody else, and would be emptied" in said
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    assert "the same database as 'legacy'" in refuse(
        DAILY, "--last", "1", PARITY_REHEARSAL_DIR=str(ingested.data_dir)
    )
