"""What a unit runs beside dbt, from its YAML to real processes around a real dbt."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_defs.components import DbtUnit
from dagster_defs.lifecycle import Stage, Unit
from tests.support.instances import instance_for_test
from tests.support.owned import bring_to
from tests.support.typed_estate import FILES, TypedEstate

PROJECT = {
    name: FILES[name]
    for name in ("pyproject.toml", "dbt/profiles.yml", "dbt/dbt_project.yml", "dbt/models/heavy.sql")
}
SAY = (
    "import os, sys; open(sys.argv[1], 'a').write(' '.join(sys.argv[2:]) + os.environ.get('END', '') + '\\n')"
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("beside")
    for name, text in PROJECT.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "data").mkdir()
    return root


@pytest.fixture
def estate(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TypedEstate:
    """The one project, and a place of its own for the mirrors; Dagster owns the unit."""
    for name in ("dbt", "data", "pyproject.toml"):
        (tmp_path / name).symlink_to(project / name)
    monkeypatch.setenv("PARITY_PROXIED_STATE", str(tmp_path / "state"))
    bring_to(tmp_path / "state", Unit("x", "t"), Stage.RETIRED)
    return TypedEstate(tmp_path)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def saying(log: Path, *words: str) -> list[str]:
    return [sys.executable, "-c", SAY, str(log), *words]


def run(
    estate: TypedEstate, monkeypatch: pytest.MonkeyPatch, job: str, **attributes: Any
) -> dg.ExecuteInProcessResult:
    estate.write("x", command="run", select="heavy", **attributes)
    definitions = estate.tree(monkeypatch).build_defs()
    with instance_for_test() as instance:
        return definitions.resolve_job_def(job).execute_in_process(
            partition_key="2024-01-02", raise_on_error=False, instance=instance
        )


def failure(result: dg.ExecuteInProcessResult) -> str:
    [event] = [event for event in result.all_events if event.is_step_failure]
    return str(event.step_failure_data.error)


def test_the_owners_run_has_all_of_it(
    estate: TypedEstate, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In order, around dbt, with the window in words and environment."""
    before = [
        saying(log, "first", "{{ ds }}"),
        {"run": saying(log, "second"), "env": {"END": "-{{ ds_nodash }}"}},
    ]

    result = run(estate, monkeypatch, "x__t", before=before, after=[saying(log, "after")])

    assert result.success
    assert log.read_text().splitlines() == ["first 2024-01-02", "second-20240102", "after"]


def test_a_candidate_runs_only_what_may_be_doubled(
    estate: TypedEstate, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`shadow: true` says so; all else is left to the owner's run."""
    before = [saying(log, "never"), {"run": saying(log, "read only"), "shadow": True}]

    run(estate, monkeypatch, "shadow__x__t", before=before, after=[saying(log, "never")])

    assert log.read_text().splitlines() == ["read only"]
    [unit] = estate.tree(monkeypatch).get_all_components(of_type=DbtUnit)
    assert [each.said.endswith("on the owner side alone") for each in unit.declared().beside] == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (
            [sys.executable, "-c", "print('no bucket'); raise SystemExit(3)"],
            "ended with exit code 3. It was `",
        ),
        (["no-such-program-here"], "ended with exit code 127. It was `no-such-program-here` before dbt"),
    ],
)
def test_a_failure_before_dbt_ends_the_run(
    estate: TypedEstate, log: Path, monkeypatch: pytest.MonkeyPatch, bad: list[str], said: str
) -> None:
    """Neither dbt nor what follows it runs; with `may_fail` everything does."""
    after = [saying(log, "after")]

    result = run(estate, monkeypatch, "x__t", before=[bad], after=after)
    assert said in failure(result)
    assert not result.get_asset_materialization_events()
    assert not log.exists()

    assert run(estate, monkeypatch, "x__t", before=[{"run": bad, "may_fail": True}], after=after).success
    assert log.read_text().splitlines() == ["after"]


def test_nothing_follows_a_failure_of_dbt(
    estate: TypedEstate, log: Path, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    """As `&&` says."""
    broken = project / "dbt" / "models" / "broken.sql"
    broken.write_text("{{ config(materialized='table') }} select no_such_column")
    try:
        estate.write("x", command="run", select="broken", after=[saying(log, "after")])
        job = estate.tree(monkeypatch).build_defs().resolve_job_def("x__t")
        with instance_for_test() as instance:
            result = job.execute_in_process(
                partition_key="2024-01-02", raise_on_error=False, instance=instance
            )
    finally:
        broken.unlink()

    assert not result.success
    assert not log.exists()


def test_the_time_out_counts_for_all_of_it(
    estate: TypedEstate, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes longer is ended with everything that it has started."""
    began = time.monotonic()

    result = run(estate, monkeypatch, "x__t", before=[["bash", "-c", "sleep 60 & sleep 60"]], timeout=1)

    assert "`bash` took longer than its time-out" in failure(result)
    assert time.monotonic() - began < 50


def test_with_them_each_window_is_a_run_of_its_own(
    estate: TypedEstate, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow's task runs them once for each window."""
    estate.write("x", command="run", select="heavy", after=[saying(log, "x")])
    [unit] = estate.tree(monkeypatch).get_all_components(of_type=DbtUnit)

    assert not unit.takes_ranges


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("aws s3 ls", r"`before`: entry 1 is not a list of words.*\[bash, -c"),
        ([], "entry 1 is not a list of words"),
        ({"run": ["x"], "shadows": True}, "entry 1 has shadows, but only"),
        ({"run": ["x"], "shadow": "yes"}, "neither true nor false"),
        (["x", "{{ dag_run.conf.y }}"], "`before`.*dag_run.conf"),
    ],
)
def test_a_wrong_entry_breaks_its_unit(
    estate: TypedEstate,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    entry: Any,
    said: str,
) -> None:
    """By the unit, the place and the number."""
    estate.write("x", command="run", select="heavy", before=[entry])

    estate.tree(monkeypatch).build_defs()

    [reason] = [record.getMessage() for record in caplog.records if "x.t" in record.getMessage()]
    assert re.search(said, reason, re.DOTALL), reason
