"""From a legacy run of a unit without a clock to its verdict: the sensor, the candidate run and the comparison."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pendulum
import pytest

from dagster_defs.adapters.dagster.evidence import read_evidence
from dagster_defs.lifecycle import Stage, Unit, tags
from dagster_defs.lifecycle.compared import lined_up, newest_partitions, runs_between
from dagster_defs.lifecycle.facts import Facts
from dagster_defs.lifecycle.gates import Blocker, blockers
from dagster_defs.lifecycle.histories import Unmoved
from dagster_defs.lifecycle.settings import Gate, GateSettings
from dagster_defs.lifecycle.stages import Move
from dagster_defs.lifecycle.verdicts import Evidence
from dagster_defs.parity import Verdict
from dagster_defs.usecases.move.facts import event_runs
from dagster_defs.windows import Occasion
from tests.components.conftest import Project
from tests.support.estate import Estate, copy_project, mirrors_of
from tests.support.instances import instance_for_test
from tests.support.owned import bring_to

UNIT = Unit("asked", "note")
AT = pendulum.datetime(2024, 3, 9, 12)
FUNCTION = """
import duckdb, os
from pathlib import Path


def noted(side, rows, run, extra="0"):
    root = Path(os.environ["TAXI_DATA_DIR"])
    path = root / side / f"noted_{run}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    more = int(extra) if side == "candidate" else 0
    duckdb.sql(f"copy (select range as id from range({int(rows) + more})) to '{path}'")
    return {"rows": int(rows)}
"""


def occasion(run: str, **conf: Any) -> Occasion:
    return Occasion(run, AT, AT, AT, conf=conf)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Project]:
    with instance_for_test() as instance:
        project = Project(Estate(copy_project(tmp_path, code=False), instance))
        (project.estate.root / "legacy_dags" / "own_events.py").write_text(FUNCTION)
        project.declare(
            "own",
            ("PythonUnit", {
                "unit": str(UNIT),
                "schedule": {"event": "manual"},
                "function": "own_events.noted",
                "arguments": {"rows": "{{ dag_run.conf['rows'] }}", "run": "{{ run_id }}",
                              "extra": "{{ dag_run.conf.get('extra', 0) }}"},
                "outputs": [{"key": "note", "file": "noted_{{ run_id }}.parquet", "file_key": ["id"]}],
            }),
        )  # fmt: skip
        project.declare("airflow", ("AirflowEstate", {}))
        project.load()
        bring_to(project.estate.root / "proxied_state", UNIT, Stage.SHADOWED)
        yield project


def legacy_ran(place: Project, one: Occasion, number: int = 1) -> None:
    """As the observer tells of it, with the file that legacy's run has written."""
    folder = place.estate.data_dir / "legacy"
    folder.mkdir(parents=True, exist_ok=True)
    rows = duckdb.sql("select range as id from range(?)", params=[one.conf["rows"]])
    assert rows is not None
    rows.write_parquet(str(folder / f"noted_{one.run_id}.parquet"))
    ended = pendulum.now("UTC").subtract(seconds=5)
    place.estate.instance.report_runless_asset_event(
        dg.AssetMaterialization(
            "note",
            metadata={
                tags.SHOWN_RUN_ID: one.run_id,
                tags.SHOWN_TRY: number,
                tags.OCCASION: dg.MetadataValue.json(one.as_json()),
                tags.BEGAN: dg.MetadataValue.timestamp(ended.subtract(seconds=5).timestamp()),
                tags.ENDED: dg.MetadataValue.timestamp(ended.timestamp()),
            },
        )
    )


def tick(place: Project, cursor: str | None = None) -> tuple[list[dg.RunRequest], str | None]:
    sensor = place.estate.definitions.resolve_sensor_def("airflow_shadow")
    with (
        place.estate.entered(),
        dg.build_sensor_context(
            instance=place.estate.instance, cursor=cursor, definitions=place.estate.definitions
        ) as context,
    ):
        result = sensor(context)
    assert isinstance(result, dg.SensorResult), result
    return [*(result.run_requests or ())], result.cursor


def start(place: Project, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    job = place.estate.definitions.resolve_job_def(str(request.job_name))
    with place.estate.entered():
        return job.execute_in_process(
            instance=place.estate.instance, run_config=request.run_config, tags=dict(request.tags),
            raise_on_error=False,
        )  # fmt: skip


def shadowed(place: Project, one: Occasion, cursor: str | None = None) -> tuple[Evidence, str | None]:
    """Legacy's run, its candidate, and the verdict; and where the sensor is now."""
    legacy_ran(place, one)
    [request], cursor = tick(place, cursor)
    assert request.tags[tags.OCCASION] == one.run_id
    assert start(place, request).success
    kept = {each.partition: each for each in read_evidence(place.estate.instance)}
    return kept[one.run_id], cursor


def test_each_run_gets_a_candidate_with_the_same_occasion(place: Project) -> None:
    """One request for a try of a run, with its conf; a cleared run gets another; an earlier one comes first."""
    first, second = occasion("manual__1", rows=3), occasion("manual__2", rows=4)
    legacy_ran(place, first)
    legacy_ran(place, second)

    [request], cursor = tick(place)
    assert request.partition_key is None
    assert request.run_key == "asked.note|manual__1|1"
    config = request.run_config["ops"]["run__shadow__asked__note"]["config"]
    assert Occasion.from_json(config["occasion"]) == first
    assert [each.run_key for each in tick(place)[0]] == [request.run_key]

    [later], cursor = tick(place, cursor)
    assert later.run_key == "asked.note|manual__2|1"
    legacy_ran(place, first, number=2)
    assert [each.run_key for each in tick(place, cursor)[0]] == ["asked.note|manual__1|2"]


def test_a_run_is_compared_with_its_own(place: Project) -> None:
    """The evidence is kept under legacy's run; a difference is one of that run, and leaves the other as it is."""
    good, cursor = shadowed(place, occasion("manual__1", rows=3))
    bad, _ = shadowed(place, occasion("manual__2", rows=3, extra=1), cursor)

    assert (good.checked.verdict, good.checked.partition) == (Verdict.MATCH, "manual__1")
    assert bad.checked.verdict is Verdict.MISMATCH
    assert bad.checked.check.only_in_candidate == 1
    kept = read_evidence(place.estate.instance)
    assert [(each.partition, each.checked.verdict) for each in kept] == [
        ("manual__1", Verdict.MATCH), ("manual__2", Verdict.MISMATCH)
    ]  # fmt: skip


def test_a_run_that_a_person_starts_is_not_compared(place: Project) -> None:
    """It stands for no run of legacy's, so it is no evidence."""
    job = place.estate.definitions.resolve_job_def("shadow__asked__note")
    config = {"ops": {"run__shadow__asked__note": {"config": {"conf": {"rows": 2}}}}}
    with place.estate.entered():
        result = job.execute_in_process(instance=place.estate.instance, run_config=config)

    assert result.success
    assert read_evidence(place.estate.instance) == []


def test_a_run_that_nobody_has_compared_is_seen(place: Project) -> None:
    """No schedule tells which runs there should be, so legacy's own are asked; the gate counts one without verdict."""
    first, cursor = shadowed(place, occasion("manual__1", rows=3))
    legacy_ran(place, occasion("manual__2", rows=3))
    _, cursor = tick(place, cursor)  # requested, and its run never began
    last, _ = shadowed(place, occasion("manual__3", rows=3), cursor)

    home = Path(place.estate.instance.root_directory)
    mirrors = mirrors_of(place.defs_folder, place.estate.root)
    known = event_runs(home, mirrors)[UNIT]
    assert known == ["manual__1", "manual__2", "manual__3"]

    line = runs_between(known, newest_partitions([first, last], 7))
    facts = Facts(UNIT, Stage.SHADOWED, False, Unmoved(UNIT), compared=lined_up([first, last], line))
    [closed] = blockers_of(Gate.WINDOWS, facts, GateSettings(windows=3, event="manual"))
    assert closed.why == "1 of 3 runs not compared"


def blockers_of(gate: Gate, facts: Facts, settings: GateSettings) -> list[Blocker]:
    closed_gates = blockers(Move.CUTOVER, facts, settings, pendulum.now("UTC"), on_record=True)
    return [blocker for blocker in closed_gates if blocker.gate is gate]


def test_comparing_again_is_about_the_last_run(place: Project) -> None:
    """The job that builds nothing compares what the last candidate run was about."""
    shadowed(place, occasion("manual__1", rows=3))
    (place.estate.data_dir / "candidate" / "noted_manual__1.parquet").unlink()

    job = place.estate.definitions.resolve_job_def("compare__asked__note")
    with place.estate.entered():
        assert job.execute_in_process(instance=place.estate.instance).success

    [kept] = read_evidence(place.estate.instance)
    assert kept.partition == "manual__1"
    assert kept.checked.verdict is not Verdict.MATCH


def test_a_candidate_without_legacys_run_is_inconclusive(place: Project) -> None:
    """Nobody knows of a run of legacy's with this id: nothing was compared."""
    one = occasion("manual__9", rows=1)
    config = {"ops": {"run__shadow__asked__note": {"config": {"occasion": one.as_json()}}}}
    request = dg.RunRequest(job_name="shadow__asked__note", run_config=config, tags={})
    assert start(place, request).success

    [kept] = read_evidence(place.estate.instance)
    assert kept.checked.verdict is Verdict.INCONCLUSIVE
