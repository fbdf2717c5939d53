"""`parity scaffold`: YAML from an inventory, gaps in plain sight, and never over a hand's edit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from dagster_defs import cli
from dagster_defs.errors import DbtProjectUnreadable
from dagster_defs.settings import Settings
from dagster_defs.usecases.inventory import read_inventory
from dagster_defs.usecases.verify import verify_mirrors
from tests.support.estate import ROOT
from tests.support.scaffolded import CRON, PROJECT, dag, mirrors_below, task


@pytest.mark.parametrize(
    ("command", "refreshes", "lacking"),
    [
        ("dbt run -s orders_per_day --full-refresh", True, False),
        ("dbt seed --full-refresh", True, False),
        ("dbt run -s orders_per_day --full-refresh && dbt test -s orders_per_day", True, False),
        ("dbt run -s orders_per_day", False, False),
        ("dbt seed && dbt run --full-refresh && dbt test", False, True),
        ("dbt snapshot -s orders_per_day && dbt seed --full-refresh", False, True),
        ("if [ $(date +%u) = 7 ]; then dbt run --full-refresh; else dbt run; fi", False, True),
    ],
)
def test_a_full_refresh_is_one_where_each_call_is(
    scaffolded: Any, tmp_path: Path, command: str, refreshes: bool, lacking: bool
) -> None:
    """The mirror refreshes fully, and verifies, if the task does in each window; otherwise the difference is a gap."""
    (tmp_path / "pyproject.toml").touch()
    written = scaffolded(dag("orders", task("anew", command)))["orders"]
    text = Path(written["path"]).read_text()

    assert yaml.safe_load(text)["attributes"].get("full_refresh", False) is refreshes
    assert ("refreshes fully in some of its calls" in text) is lacking
    [unit] = verify_mirrors(
        Settings.from_process(),
        mirrors_below(tmp_path),
        read_inventory(tmp_path / "inventory.json", tmp_path / "parity.yaml"),
    )
    [selection] = [facet for facet in unit.facets if facet.name == "selection"]
    assert (selection.agrees.value == "agrees") is not lacking
    assert ("--full-refresh" in selection.detail) is lacking


@pytest.mark.parametrize(
    ("command", "exclude"),
    [
        ("dbt run -s orders_per_day && dbt test -s orders_per_day", ""),
        ("dbt seed && dbt run && dbt test", ""),
        ("dbt run && dbt test", "resource_type:seed"),
        ("dbt run --exclude stock_value && dbt test --exclude stock_value", "stock_value resource_type:seed"),
        ("dbt test -s orders_per_day && dbt run -s orders_per_day", None),
        ("dbt run -s orders_per_day && dbt test -s stock_levels", None),
        ("dbt run -s orders_per_day && dbt test -s orders_per_day && dbt run -s orders_per_day", None),
        ("dbt run -s orders_per_day && dbt run -s orders_per_day", None),
        ("dbt run && dbt run && dbt test", None),
        ("dbt run && dbt seed && dbt test", None),
        ("dbt snapshot && dbt run && dbt test", None),
        ("dbt run -t legacy -s orders_per_day && dbt test -t other -s orders_per_day", None),
        ("dbt run -s orders_per_day && dbt test -s orders_per_day --vars 'env: dev'", None),
    ],
)
def test_a_chain_is_one_build_where_that_executes_the_same(
    scaffolded: Any, command: str, exclude: str | None
) -> None:
    """Nodes that the chain does not execute are excluded; where the chain is another, the difference is a gap."""
    written = scaffolded(dag("orders", task("chain", command)))["orders"]
    text = Path(written["path"]).read_text()
    attributes = yaml.safe_load(text)["attributes"]

    assert ("GAP" in text) is (exclude is None)
    if exclude is not None:
        assert "the mirror runs dbt build, which executes the same nodes" in text
        assert (attributes["command"], attributes.get("exclude", "")) == ("build", exclude)


def test_a_unit_becomes_a_mirror(scaffolded: Any) -> None:
    """Schedule, command, selection and variables of the task stand in the YAML, as in the DAG."""
    command = "dbt run -s orders_per_day --vars '{from_day: \"{{ ds }}\", env: dev}'"
    sample = {
        "start": "2024-03-01T04:00:00+00:00",
        "end": "2024-03-02T04:00:00+00:00",
        "fields": {"bash_command": command.replace("{{ ds }}", "2024-03-01")},
    }
    written = scaffolded(dag("orders", task("marts", command, pool="warehouse", rendered=[sample])))["orders"]

    [mirror] = list(yaml.safe_load_all(Path(written["path"]).read_text()))
    attributes = mirror["attributes"]
    assert mirror["type"] == "dagster_defs.components.DbtUnit"
    assert attributes["unit"] == "orders.marts"
    assert attributes["schedule"] == {
        "cron": "0 5 * * *", "timezone": "Europe/Berlin", "start": "2024-01-01", "catchup": True, "max_active_runs": 16
    }  # fmt: skip
    assert (attributes["command"], attributes["select"], attributes["pool"]) == (
        "run",
        "orders_per_day",
        "warehouse",
    )
    assert attributes["vars"]["env"] == "dev"
    assert "{{ ds }}" in str(attributes["vars"]["from_day"])
    assert attributes["owners"] == ["team:shop"]


def test_what_is_written_verifies(scaffolded: Any, tmp_path: Path) -> None:
    """Retries, time-out and SLA of the task are the mirror's; compared with the inventory again, nothing differs."""
    limits = {
        "retries": 3, "retry_delay_seconds": 90.0, "execution_timeout_seconds": 1800.0, "sla_seconds": 5400.5,
    }  # fmt: skip
    (tmp_path / "pyproject.toml").touch()  # what makes a folder the root of a project
    written = scaffolded(
        dag("orders", task("marts", "dbt run -s orders_per_day", **limits), task("free", "dbt run"))
    )

    [marts, free] = list(yaml.safe_load_all(Path(written["orders"]["path"]).read_text()))
    declared = {name: marts["attributes"].get(name) for name in ("retries", "retry_delay", "timeout", "sla")}
    assert declared == {"retries": 3, "retry_delay": 90, "timeout": 1800, "sla": 5400.5}
    assert not free["attributes"].keys() & declared.keys()
    verified = list(
        verify_mirrors(
            Settings.from_process(),
            mirrors_below(tmp_path),
            read_inventory(tmp_path / "inventory.json", tmp_path / "parity.yaml"),
        )
    )
    assert [str(unit.unit) for unit in verified] == ["orders.free", "orders.marts"]
    for unit in verified:
        assert unit.differing == (), unit
        assert not {"retries", "pool", "timeout", "sla"} & set(unit.undetermined), unit


def test_what_a_dag_promises_verifies(scaffolded: Any, tmp_path: Path) -> None:
    """Catch-up, runs at a time, order and failure callback are the mirror's; compared again, they agree."""
    (tmp_path / "pyproject.toml").touch()
    shutil.copytree(ROOT / "legacy_dags" / "include", tmp_path / "legacy_dags" / "include")
    told = {"on_failure_callback": ["include.alerts.report_failure"]}
    given = task("marts", "dbt run -s orders_per_day", depends_on_past=True, callbacks=told)
    written = scaffolded(dag("orders", given, catchup=False, max_active_runs=2))["orders"]

    [mirror] = list(yaml.safe_load_all(Path(written["path"]).read_text()))
    attributes = mirror["attributes"]
    assert (attributes["schedule"]["catchup"], attributes["schedule"]["max_active_runs"]) == (False, 2)
    assert (attributes["depends_on_past"], attributes["on_failure"]) == (
        True,
        "include.alerts.report_failure",
    )
    assert written["gaps"] == []
    [unit] = verify_mirrors(
        Settings.from_process(),
        mirrors_below(tmp_path),
        read_inventory(tmp_path / "inventory.json", tmp_path / "parity.yaml"),
    )
    promised = ("catchup", "max_active_runs", "depends_on_past", "callbacks")
    assert {
        facet.name: facet.agrees.value for facet in unit.facets if facet.name in promised
    } == dict.fromkeys(promised, "agrees")


def test_callbacks_that_dagster_cannot_call_are_gaps(scaffolded: Any, tmp_path: Path) -> None:
    """A callback of Airflow's own, and one that no mirror has a place for, are named; the definitions load."""
    (tmp_path / "pyproject.toml").touch()
    told = {
        "on_failure_callback": ["airflow.providers.slack.notifications.SlackNotifier"],
        "on_retry_callback": ["orders.note"],
    }
    late = {"sla_miss_callback": ["orders.late"]}
    written = scaffolded(
        dag("orders", task("marts", "dbt run -s orders_per_day", callbacks=told), callbacks=late)
    )["orders"]

    cannot, not_called = written["gaps"]
    assert (
        "Dagster cannot call airflow.providers.slack.notifications.SlackNotifier when a run fails" in cannot
    )
    assert not_called.endswith(
        "Dagster does not call the task's on_retry_callback orders.note, the DAG's sla_miss_callback orders.late: "
        "have a component Alerts tell of it, by a route with causes: [retry, late]"
    )
    [unit] = verify_mirrors(
        Settings.from_process(),
        mirrors_below(tmp_path),
        read_inventory(tmp_path / "inventory.json", tmp_path / "parity.yaml"),
    )
    assert unit.differing == ("callbacks",)


def test_who_is_mailed_and_called_is_the_mirrors(scaffolded: Any, tmp_path: Path) -> None:
    """Airflow's addresses and the functions that Dagster can call are in the YAML, which verifies; a deadline of
    Airflow 3 is a gap that names the cause of an alert."""
    (tmp_path / "pyproject.toml").touch()
    shutil.copytree(ROOT / "legacy_dags" / "include", tmp_path / "legacy_dags" / "include")
    own = ["include.alerts.report_failure"]
    told = {f"on_{kind}_callback": own for kind in ("failure", "retry", "success", "execute", "skipped")}
    mail = {"to": ["ada@example.com"], "on_failure": True, "on_retry": False}
    given = task("marts", "dbt run -s orders_per_day", callbacks=told, email=mail)
    of_dag = {"deadline": ["orders.too_late"], "on_failure_callback": [*own, "include.alerts.report_failure"]}
    written = scaffolded(dag("orders", given, callbacks=of_dag))["orders"]

    [mirror] = list(yaml.safe_load_all(Path(written["path"]).read_text()))
    attributes = mirror["attributes"]
    assert {attributes[f"on_{kind}"] for kind in ("failure", "retry", "success", "execute", "skipped")} == {
        *own
    }
    assert attributes["dag_on_failure"] == own * 2
    assert (attributes["email"], attributes["email_on"]) == (["ada@example.com"], ["failure"])
    [gap] = written["gaps"]
    assert gap.endswith(
        "Dagster does not call the DAG's deadline orders.too_late: have a component Alerts tell of it, by a route "
        "with causes: [late]"
    )
    [unit] = verify_mirrors(
        Settings.from_process(),
        mirrors_below(tmp_path),
        read_inventory(tmp_path / "inventory.json", tmp_path / "parity.yaml"),
    )
    [facet] = [facet for facet in unit.facets if facet.name == "callbacks"]
    assert (facet.agrees.value, "ada@example.com on failure" in facet.mirror) == ("undetermined", True)


def test_a_gap_that_many_tasks_have_is_said_once(scaffolded: Any) -> None:
    """For the whole DAG, with the first of them; each has its line in the YAML all the same."""
    told = {"on_retry_callback": ["orders.note"]}
    tasks = [task(f"marts_{number}", "dbt run -s orders_per_day", callbacks=told) for number in range(9)]
    written = scaffolded(dag("orders", *tasks, task("alone", "dbt run -s stock_value --threads 3")))["orders"]

    common, *others = written["gaps"]
    assert common.startswith(
        "orders: Dagster does not call the task's on_retry_callback orders.note: have a component Alerts tell of "
        "it, by a route with causes: [retry] (9 tasks: marts_0, "
    )
    assert common.endswith("and 6 more)")
    assert all(gap.startswith("orders.alone: ") for gap in others)
    assert Path(written["path"]).read_text().count("# GAP: orders.marts_") == 9


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param(dag("x", task("t", "dbt run"),
                         schedule={**CRON, "kind": "cron-partition", "occasion": "partition"}),
                     "a partition key and no window", id="no windows"),
        pytest.param(dag("x", task("t", "dbt run"),
                         schedule={**CRON, "kind": "cron-trigger", "interval_is_empty": True},
                         windows=[{"start": "2024-01-01T05:00:00+00:00", "end": "2024-01-01T05:00:00+00:00"},
                                  {"start": "2024-01-02T05:00:00+00:00", "end": "2024-01-03T05:00:00+00:00"}]),
                     "others have not: a mirror has one kind", id="ticks and windows"),
        pytest.param(dag("x.y", task("t", "dbt run")), "dot", id="a dot in the name"),
        pytest.param(dag("x", task("t", "dbt run"), start=None), "start date", id="no start"),
    ],
)  # fmt: skip
def test_what_cannot_be_mirrored_is_a_comment(scaffolded: Any, given: dict[str, Any], said: str) -> None:
    """A unit that can have no mirror of any kind becomes a marked gap and no YAML."""
    [written] = scaffolded(given).values()

    text = Path(written["path"]).read_text()
    assert written["units"] == []
    assert any(said in gap for gap in written["gaps"])
    assert "# GAP: " in text
    assert list(yaml.safe_load_all(text)) in ([], [None])
    assert Path(written["path"]).name == "gaps.yaml"


def test_windows_that_do_not_end_in_their_order_refuse_their_dag(scaffolded: Any) -> None:
    """A list whose second window is over before its first is said, with both, and the other DAGs are scaffolded."""
    march = "2024-03-{:02}T00:00:00+00:00"
    own = {**CRON, "text": "Calendar", "kind": "other", "cron": None, "timetable": "their.Calendar"}
    days = ((1, 30), (2, 3), (4, 31))
    windows = [{"start": march.format(start), "end": march.format(end)} for start, end in days]
    crossed = dag("x", task("t", "dbt run"), schedule={**own, "interval_is_empty": False}, windows=windows,
                  span={"start": march.format(1), "end": march.format(31)})  # fmt: skip

    files = scaffolded(crossed, dag("y", task("t", "dbt run")))

    assert files["y"]["units"] == ["y.t"]
    assert files["x"]["units"] == []
    [said] = [gap for gap in files["x"]["gaps"] if "ends after" in gap]
    first, second = (f"[{march.format(start)}, {march.format(end)})" for start, end in days[:2])
    assert f"the window {first} ends after {second}, which begins later" in said


@pytest.mark.parametrize(
    ("command", "said"),
    [
        pytest.param("dbt run -s {{ params.model }}", "params", id="a selection from params"),
        pytest.param(
            "dbt run --vars '{day: \"{{ dag_run.conf.day }}\"}'", "dag_run.conf", id="a window from conf"
        ),
    ],
)
def test_what_dbt_alone_cannot_be_is_the_operator(
    scaffolded: Any, tmp_path: Path, command: str, said: str
) -> None:
    """A call that has no dbt mirror keeps its gap, and its operator runs as it is; compared again, nothing differs."""
    (tmp_path / "pyproject.toml").touch()
    [written] = scaffolded(dag("x", task("t", command, retries=2))).values()

    assert written["units"] == ["x.t"]
    assert any(said in gap for gap in written["gaps"])
    [mirror] = yaml.safe_load_all(Path(written["path"]).read_text())
    assert mirror["type"] == "dagster_defs.components.LegacyTask"
    [unit] = verify_mirrors(
        Settings.from_process(),
        mirrors_below(tmp_path),
        read_inventory(tmp_path / "inventory.json", tmp_path / "parity.yaml"),
    )
    agreeing = {facet.name for facet in unit.facets if facet.agrees.value == "agrees"}
    assert unit.differing == ()
    assert agreeing >= {"variables", "selection", "retries", "callbacks", "ordering"}


@pytest.mark.parametrize(
    ("words", "env", "said"),
    [
        ("--empty", {}, "--empty"),
        ("", {"DBT_EMPTY": "1"}, "--empty"),
        ("--sample '3 days'", {}, "--sample=3 days"),
        ("--no-empty", {}, ""),
    ],
)
def test_fewer_rows_are_a_difference(
    scaffolded: Any, tmp_path: Path, words: str, env: dict[str, str], said: str
) -> None:
    """A task that builds from a part of the rows is scaffolded with a gap, and its mirror does not agree with it."""
    given = task("marts", f"dbt run -s orders_per_day {words}")
    given["templated"]["env"] = env
    (tmp_path / "pyproject.toml").touch()
    written = scaffolded(dag("orders", given))["orders"]

    [unit] = verify_mirrors(
        Settings.from_process(),
        mirrors_below(tmp_path),
        read_inventory(tmp_path / "inventory.json", tmp_path / "parity.yaml"),
    )
    selection = next(facet for facet in unit.facets if facet.name == "selection")
    assert (selection.agrees.value, selection.detail) == (
        ("differs", f"only in Airflow: {said}") if said else ("agrees", "")
    )
    text = Path(written["path"]).read_text()
    assert f"# fewer-rows: {said}: models are built" in text if said else "fewer" not in text
    assert any(f"fewer rows ({said})" in gap for gap in written["gaps"]) is bool(said)


@pytest.mark.parametrize("what", ["no project", "a project that does not parse"])
def test_a_project_that_cannot_be_read_writes_nothing(tmp_path: Path, what: str) -> None:
    """An error, exit code 1, that names the project; and no file, whatever the tasks run."""
    project, out = tmp_path / "dbt", tmp_path / "defs"
    if what != "no project":
        shutil.copytree(PROJECT, project)
        next(project.rglob("orders_per_day.sql")).write_text("select {{ ref('nobody') }}")
    tasks = [task("marts", "dbt run")] if what != "no project" else [task("other", "echo")]
    document = {
        "schema": "parity/inventory/1", "complete": True, "airflow_version": "2.11.2",
        "import_errors": [], "dags": [dag("orders", *tasks)],
    }  # fmt: skip
    file = tmp_path / "inventory.json"
    file.write_text(json.dumps(document))

    outcome = CliRunner().invoke(
        cli.app, ["scaffold", str(file), "--dbt-project", str(project), "--out", str(out)]
    )

    assert isinstance(outcome.exception, DbtProjectUnreadable)
    assert outcome.exception.exit_code == 1
    assert str(project) in str(outcome.exception)
    assert not out.exists()


def test_a_hand_edit_stays(scaffolded: Any) -> None:
    """A file that was edited is left as it is and reported; one that was not is renewed."""
    before, after = dag("a", task("t", "dbt run")), dag("a", task("t", "dbt run -s stock_levels"))
    path = Path(scaffolded(before)["a"]["path"])
    assert scaffolded(before)["a"]["outcome"] == "unchanged"
    assert scaffolded(after)["a"]["outcome"] == "written"
    path.write_text(path.read_text() + "  retries: 3\n")
    edited = path.read_text()

    assert scaffolded(before)["a"]["outcome"] == "edited"
    assert path.read_text() == edited


def test_a_file_without_a_digest_is_a_hands(scaffolded: Any, tmp_path: Path) -> None:
    """A file that the command did not write is never replaced."""
    path = tmp_path / "dagster_defs" / "defs" / "a" / "defs.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("# mine\n")

    assert scaffolded(dag("a", task("t", "dbt run")))["a"]["outcome"] == "edited"
    assert path.read_text() == "# mine\n"


def test_names_that_would_collide_are_refused_by_name(scaffolded: Any, tmp_path: Path) -> None:
    """Two DAGs that would share a folder write nothing, a unit with the name of another DAG is a gap, and all of them
    are named; a DAG beside them is written."""
    build = "dbt run -s orders_per_day"
    files = scaffolded(
        dag("a-b", task("build", build)),
        dag("a_b", task("other", build)),
        dag("x", task("y", build), task("z", build)),
        dag("x__y", task("z", build)),
        dag("alone", task("build", build)),
    )

    out = tmp_path / "dagster_defs" / "defs"
    assert not (out / "a_b").exists()
    assert files["a_b"]["outcome"] == "refused"
    assert "DAG a-b and DAG a_b would both be called 'a_b' here" in files["a_b"]["gaps"][0]
    assert files["x"]["units"] == ["x.z"]
    assert "unit x.y and DAG x__y would both be called 'x__y' in Dagster" in " ".join(files["x"]["gaps"])
    assert files["x__y"]["units"] == []
    assert files["alone"]["units"] == ["alone.build"]


def test_only_dags_of_a_known_airflow_are_mirrored(
    scaffolded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A DAG that each of two Airflows has is left out, with the reason, and none overwrites the other's."""
    project = '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "dagster_defs"\n'
    (tmp_path / "pyproject.toml").write_text(project)
    (tmp_path / "parity.yaml").write_text("airflows: {finance: [bills], shop: [orders]}\n")
    monkeypatch.chdir(tmp_path)

    files = scaffolded(dag("bills", task("load", "true")), dag("cleanup", task("sweep", "true")))

    assert {dag_id: file["outcome"] for dag_id, file in files.items()} == {
        "bills": "written",
        "cleanup": "refused",
    }
    assert "parity.yaml lists it for none of finance, shop" in " ".join(files["cleanup"]["gaps"])
    assert not (tmp_path / "dagster_defs" / "defs" / "cleanup").exists()
