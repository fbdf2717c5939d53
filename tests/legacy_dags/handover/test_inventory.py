"""The inventory exporter, run by real Airflows on a zoo of DAGs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # a small part of it is used here
import pytest

from dagster_defs.inventory import Kind, describe, read_document
from tests.support import inventory_samples as samples
from tests.support.exporting import ALL_OF_2024, HUSH, PYTHONS, Exported, export, schema

HERE = Path(__file__).parent
pytestmark = pytest.mark.airflow


@pytest.fixture(scope="module")
def zoo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zoo, with the files that no linter would take."""
    folder = tmp_path_factory.mktemp("zoo") / "dags"
    shutil.copytree(HERE / "inventory_dags", folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "broken.py").write_text("from airflow import DAG\n\nwith DAG(\n")
    (folder / "missing_module.py").write_text("from airflow import DAG\n\nimport nowhere_to_be_found\n")
    (folder / "exits.py").write_text("# an airflow DAG\nraise SystemExit(3)\n")
    (folder / "not_a_dag.py").write_text("raise RuntimeError\n")
    (folder / "leaks.py").write_text(LEAKING)
    (folder / "odd.py").write_text(ODD)
    (folder / "deeper").mkdir()
    (folder / "neighbour.py").write_text("DAYS = 7\n")
    (folder / "deeper" / "imports.py").write_text("# an airflow DAG\nfrom neighbour import DAYS\n")
    return folder


LEAKING = """# an airflow DAG
from airflow.models import Variable
raise LookupError("no host " + Variable.get("target"))
"""
#: It imports, and cannot be written down: a priority is no object.
ODD = """
import pendulum
from airflow import DAG
try:
    from airflow.providers.standard.operators.bash import BashOperator
except ImportError:
    from airflow.operators.bash import BashOperator

with DAG("odd", schedule=None, start_date=pendulum.datetime(2024, 1, 1)):
    BashOperator(task_id="odd", bash_command="true").priority_weight = object()
"""


@pytest.fixture(scope="module")
def zoo(version: str, zoo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    out = tmp_path_factory.mktemp(version) / "inventory.json"
    done = export(PYTHONS[version], zoo_folder, out, ALL_OF_2024, **HUSH)
    assert done.returncode == 0, done.stderr
    return Exported(out, done.stderr, version)


def windows(dag: dict[str, Any]) -> list[list[str]]:
    return [[window["start"], window["end"]] for window in dag["windows"]]


def test_document_keeps_its_schema(zoo: Exported) -> None:
    """What the exporter writes is what `docs/inventory.schema.json` promises, and the schema itself is valid."""
    jsonschema.Draft202012Validator.check_schema(schema())
    checked = jsonschema.Draft202012Validator(
        schema(), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    checked.validate(zoo.document)
    for extra in (zoo.document, zoo.document["dags"][0], zoo.document["dags"][0]["tasks"][0]):
        assert not jsonschema.Draft202012Validator(schema()).is_valid({**extra, "nobody_promised_this": 1})
    assert zoo.document["airflow_version"].startswith(zoo.version[-1])
    assert zoo.document["complete"] is True


def test_import_errors_are_data(zoo: Exported) -> None:
    """A file that does not import is a row and a line on stderr, and all other files are still reported. A file
    may import from the DAGs folder, as under Airflow 3's DAG processor."""
    rows = {row["file"]: row for row in zoo.document["import_errors"]}
    assert set(rows) == {"broken.py", "exits.py", "leaks.py", "missing_module.py", "odd.py"}
    assert rows["leaks.py"]["error"] == "LookupError: no host ***"
    assert rows["odd.py"]["error"].startswith("DAG odd is left out: TypeError")
    assert rows["missing_module.py"]["error"] == "ModuleNotFoundError: No module named 'nowhere_to_be_found'"
    assert rows["missing_module.py"]["line"] == 3
    assert rows["broken.py"]["error"].startswith("SyntaxError")
    assert "SystemExit: 3" in rows["exits.py"]["error"]
    assert "missing_module.py, line 3: ModuleNotFoundError" in zoo.messages
    assert {"templates", "utc_daily", "looped_bronx", "looped_queens"} <= set(zoo.dags)


def test_no_machine_path_and_no_secret_leaves(zoo: Exported, zoo_folder: Path) -> None:
    """No value of a Variable, a Connection or the process's environment is anywhere in the output, nor a path."""
    assert "hush" not in zoo.text
    assert "hush" not in zoo.messages
    assert str(zoo_folder.parent) not in zoo.text
    assert zoo.document["dags_folder"] == "dags"
    assert "PATH" not in zoo.task("secrets", "inherited")["templated"]["env"]


def test_secrets_are_marked(zoo: Exported) -> None:
    """A masked text says that it is masked, and which Variable or Connection stood there."""
    assert zoo.first("secrets", "read") == "dbt run --target ***"
    assert zoo.needs("secrets", "read") == {"Variable target"}
    assert zoo.first("secrets", "connection") == "PGPASSWORD=*** psql"
    assert zoo.needs("secrets", "connection") == {"Connection warehouse"}
    assert zoo.first("secrets", "json") == "echo ***"
    assert zoo.first("secrets", "in_a_url") == "psql postgresql://me:***@host/db"
    for name in ("quoted_plus", "quoted_path", "quoted_shell", "encoded"):
        assert zoo.first("secrets", name) == "echo ***", name
    assert zoo.first("secrets", "token") == "curl -H ***"
    assert zoo.first("secrets", "picked", "env") == {"FROM_PROCESS": "***"}
    assert zoo.first("secrets", "named", "env") == {"DB_PASSWORD": "***", "DAY": "2024-01-01"}
    assert zoo.first("templates", "variable") == "dbt run --target ***"


def test_containers(zoo: Exported) -> None:
    """A pod's environment is masked by the names in it, and arguments that are no templates are there."""
    pod = zoo.task("containers", "pod")
    assert pod["operator"] == "airflow.providers.cncf.kubernetes.operators.pod.KubernetesPodOperator"
    assert [item["value"] for item in pod["templated"]["env_vars"]] == ["***", "{{ ds }}"]
    (container,) = pod["settings"]["full_pod_spec"]["spec"]["containers"]
    assert [item["value"] for item in container["env"]] == ["***", "{{ ds }}"]
    assert zoo.first("containers", "pod", "arguments") == ["run", "--target", "***"]
    assert zoo.task("containers", "docker")["settings"]["entrypoint"] == "dbt"
    values = [item["value"] for item in zoo.first("containers", "docker", "environment")]
    assert values == ["***", "2024-01-01"]


def test_what_a_librarys_operator_was_given(zoo: Exported) -> None:
    """Whoever gave it, with another value than its default, beside what every operator has. Of the team's own operators
    nobody knows."""
    docker, pod = zoo.task("containers", "docker"), zoo.task("containers", "pod")

    assert docker["given"] == ["command", "entrypoint", "mount_tmp_dir", "network_mode"]
    assert docker["settings"]["network_mode"] == "host"
    assert docker["settings"]["mount_tmp_dir"] is False
    assert "mounts" not in docker["settings"]
    assert pod["given"] == ["arguments", "env_vars", "full_pod_spec"]
    assert zoo.task("templates", "variable")["given"] == ["bash_command"]
    assert zoo.task("own_operators", "built")["given"] is None


def test_endless_import_is_an_import_error(version: str, tmp_path: Path) -> None:
    """A file that never comes to its end is ended by Airflow's own limit, and the others are reported."""
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "endless.py").write_text("# an airflow DAG\nwhile True:\n    pass\n")
    shutil.copy(HERE / "inventory_dags" / "looped.py", tmp_path / "dags")
    limit = {
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "2",
        "AIRFLOW__DAG_PROCESSOR__DAGBAG_IMPORT_TIMEOUT": "2",
    }
    done = export(PYTHONS[version], tmp_path / "dags", tmp_path / "out.json", ALL_OF_2024, **limit)
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "out.json").read_text())
    (row,) = document["import_errors"]
    assert row["file"] == "endless.py"
    assert "Timeout" in row["error"]
    assert {dag["dag_id"] for dag in document["dags"]} == {"looped_bronx", "looped_queens"}


def test_parse_time_variables_never_crash(zoo: Exported) -> None:
    """A Variable that is not known here gives its default, or a mark and a warning with the remedy."""
    assert zoo.first("secrets", "missing") == "dbt run --target __undetermined__"
    assert zoo.needs("secrets", "missing") == {"Connection nowhere, Variable nowhere"}
    assert zoo.first("secrets", "defaulted") == "dbt run --target dev"
    warned = " ".join(zoo.dags["secrets"]["warnings"])
    assert (
        "Variable elsewhere was read while the file was parsed; it is not known here, its default was used"
        in warned
    )
    assert "set AIRFLOW_VAR_NOWHERE" in warned


KINDS = {
    "utc_daily": ("cron", "cron", False, "UTC"),
    "new_york_daily": ("cron", "cron", False, "America/New_York"),
    "kolkata_daily": ("cron", "cron", False, "Asia/Kolkata"),
    "trigger": ("cron-trigger", "cron-trigger", True, "UTC"),
    "trigger_with_interval": ("cron-trigger", "cron-trigger", False, "UTC"),
    "after_dataset": ("dataset", "asset", None, "UTC"),
    "by_hand": ("none", "none", True, "UTC"),
    "only_once": ("once", "once", True, "UTC"),
    "every_6_hours": ("delta-trigger", "delta-trigger", True, "UTC"),
    "again_and_again": ("continuous", "continuous", None, "UTC"),
    "daily_or_dataset": ("dataset-or-time", "asset-or-time", False, "America/New_York"),
}
OCCASIONS = {
    "utc_daily": "window", "every_36_hours": ("window", "tick"), "bare_cron": ("window", "tick"), "trigger": "tick",
    "trigger_with_interval": "window", "after_dataset": "event", "daily_or_dataset": "window", "by_hand": "event",
    "only_once": "event", "begins_late": ("window", "tick"), "lord_howe_hourly": "window",
    "every_6_hours": "tick", "again_and_again": "event",
}  # fmt: skip


@pytest.mark.parametrize("dag_id", KINDS)
def test_kind_of_schedule(zoo: Exported, dag_id: str) -> None:
    """Each schedule is named by its kind, its time zone, and whether its windows are empty."""
    kind2, kind3, empty, zone = KINDS[dag_id]
    schedule = zoo.dags[dag_id]["schedule"]
    assert schedule["kind"] == (kind2 if zoo.version == "airflow2" else kind3)
    assert schedule["interval_is_empty"] is empty
    assert schedule["timezone"] == zone


@pytest.mark.parametrize("dag_id", OCCASIONS)
def test_what_a_run_is_about(zoo: Exported, dag_id: str) -> None:
    """Each schedule is one kind of occasion, which for a bare expression depends on the Airflow."""
    expected = OCCASIONS[dag_id]
    if isinstance(expected, tuple):
        expected = expected[zoo.version == "airflow3"]
    assert zoo.dags[dag_id]["schedule"]["occasion"] == expected
    assert zoo.dags[dag_id]["partitions"] == []


def test_what_triggers_beside_a_clock(zoo: Exported) -> None:
    """Datasets or assets that trigger a DAG are there by name and address, beside the windows of its clock."""
    both, only, neither = (zoo.dags[name] for name in ("daily_or_dataset", "after_dataset", "utc_daily"))
    [asset] = both["schedule"]["assets"]
    assert asset["uri"] == "s3://bucket/trips"
    assert list(both["schedule"]["asset_condition"]) == ["all"]
    assert only["schedule"]["assets"] == [asset]
    assert (neither["schedule"]["assets"], neither["schedule"]["asset_condition"]) == ([], None)
    assert windows(both) == windows(zoo.dags["new_york_daily"])
    assert any("trigger it too" in warning for warning in both["warnings"])


def test_bare_expressions_differ_between_airflows(zoo: Exported) -> None:
    """A bare cron or timedelta has real windows on Airflow 2 and empty ones on Airflow 3, and both are said."""
    is_three = zoo.version == "airflow3"
    for dag_id in ("bare_cron", "every_36_hours"):
        assert zoo.dags[dag_id]["schedule"]["interval_is_empty"] is is_three
        assert all((start == end) is is_three for start, end in windows(zoo.dags[dag_id]))
    assert zoo.dags["every_36_hours"]["schedule"]["delta_seconds"] == 129_600


def oracle(version: str, folder: Path) -> dict[str, Any]:
    outer = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    command = [str(PYTHONS[version]), str(HERE / "inventory_oracle.py"), str(folder), "2025-01-10"]
    done = subprocess.run(command, env=outer, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def test_windows_and_texts_are_airflows_own(zoo: Exported, tmp_path: Path) -> None:
    """Every window, and each sampled window's text, is what Airflow gives without the exporter."""
    shutil.copy(HERE / "inventory_dags" / "schedules.py", tmp_path)
    truth = oracle(zoo.version, tmp_path)
    compared = 0
    for dag_id, expected in truth.items():
        dag = zoo.dags[dag_id]
        if found := windows(dag):
            inside = [pair for pair in expected["windows"] if found[0][0] <= pair[0] <= found[-1][0]]
            assert found == inside or dag_id == "lord_howe_hourly", dag_id
        if dag["schedule"]["timezone"] == "UTC":
            assert found == [pair for pair in expected["windows"] if pair[0].startswith("2024")], dag_id
        for entry in dag["tasks"][0]["rendered"]:
            if entry["start"] in expected["texts"]:
                assert entry["fields"]["bash_command"] == expected["texts"][entry["start"]]["say"]
                compared += 1
    assert compared >= 15 or zoo.version == "airflow3"


def test_span_may_begin_anywhere(version: str, zoo: Exported, zoo_folder: Path, tmp_path: Path) -> None:
    """A span in the middle has the same windows as the long one: a timedelta stays anchored at the DAG's start."""
    done = export(PYTHONS[version], zoo_folder, tmp_path / "out.json", ("2024-10-05", "2024-11-20"), **HUSH)
    assert done.returncode == 0, done.stderr
    later = Exported(tmp_path / "out.json", done.stderr, version)
    for dag_id in ("every_36_hours", "utc_daily", "trigger", "trigger_with_interval"):
        inside = [pair for pair in windows(zoo.dags[dag_id]) if "2024-10-05" <= pair[0] < "2024-11-21"]
        assert windows(later.dags[dag_id]) == inside
    assert len(windows(later.dags["new_york_hourly"])) == 47 * 24 + 1  # the night that has an hour more
    assert later.dags["lord_howe_hourly"]["advances"]["ok"] is False


def test_stuck_timetable_is_bounded(zoo: Exported) -> None:
    """Airflow's hourly timetable in Lord Howe never gets past a half-hour change: the windows before it, and why."""
    dag = zoo.dags["lord_howe_hourly"]
    assert dag["advances"]["ok"] is False
    assert "2024-04-06T15:00:00+00:00" in dag["advances"]["reason"].replace(" 15:00", "T15:00")
    assert 2_300 < dag["windows_in_span"] < 2_350
    assert zoo.dags["new_york_hourly"]["advances"] == {"ok": True, "reason": None}


def test_sampled_windows(zoo: Exported) -> None:
    """The first and the last window, each month's end and both clock changes of the zone are rendered."""
    rendered = {entry["start"]: entry for entry in zoo.task("new_york_daily", "say")["rendered"]}
    by_reason: dict[str, list[str]] = {}
    for start, entry in rendered.items():
        for reason in entry["sampled"]:
            by_reason.setdefault(reason, []).append(start)
    assert by_reason["first"] == ["2024-01-01T11:00:00+00:00"]
    assert by_reason["last"] == ["2024-12-31T11:00:00+00:00"]
    assert len(by_reason["month-end"]) == 12
    assert "2024-02-29T11:00:00+00:00" in by_reason["month-end"]
    assert by_reason["dst"] == ["2024-03-09T11:00:00+00:00", "2024-11-02T10:00:00+00:00"]
    assert "dst" not in str(zoo.task("kolkata_daily", "say")["rendered"])
    hourly = [
        entry["start"]
        for entry in zoo.task("new_york_hourly", "say")["rendered"]
        if "dst" in entry["sampled"]
    ]
    assert hourly == [
        "2024-03-10T06:00:00+00:00", "2024-03-10T07:00:00+00:00",
        "2024-11-03T05:00:00+00:00", "2024-11-03T06:00:00+00:00",
    ]  # fmt: skip


def test_windows_that_are_asked_for(version: str, tmp_path: Path) -> None:
    """`--window` renders each window that starts in a half-open span, in the DAG's own time zone."""
    (tmp_path / "dags").mkdir()
    shutil.copy(HERE / "inventory_dags" / "schedules.py", tmp_path / "dags")
    out = tmp_path / "out.json"
    asked = ("--window", "2024-05-10/2024-05-13", "--window", "2030-01-01/2030-01-02")
    done = export(PYTHONS[version], tmp_path / "dags", out, ("2024-05-01", "2024-05-31"), *asked)
    assert done.returncode == 0, done.stderr
    found = Exported(out, done.stderr, version)
    asked_for = [
        e["start"] for e in found.task("kolkata_daily", "say")["rendered"] if "asked" in e["sampled"]
    ]
    assert asked_for == [f"2024-05-{day:02}T19:00:00+00:00" for day in (9, 10, 11)]
    assert "no window of the span starts in 2030-01-01/2030-01-02" in found.dags["kolkata_daily"]["warnings"]


UNDETERMINED = {
    "xcom": {"ti.xcom_pull"},
    "conf_default": {"dag_run.conf"},
    "conf_item": {"dag_run.conf"},
    "conf_branch": {"dag_run.conf"},
    "conf_renamed": {"dag_run", "dag_run.conf"},
    "untaken_branch": {"ti.xcom_pull"},
    "prev_success": {"prev_data_interval_end_success"},
    "prev_success_or": {"prev_data_interval_end_success"},
    "variable": {"var.value.target"},
    "variable_get": {"var.value.target", "var.json.settings"},
    "connection": {"conn.warehouse", "conn.nowhere"},
    "configuration": {"conf"},
    "clock": {"macros.datetime.now"},
    "try_number": {"ti.try_number"},
    "history": {"dag.get_last_dagrun"},
    "param_without_default": {"params.nowhere"},
    "syntax_error": {"a valid template"},
    "unknown_filter": {"a valid template"},
    "unsafe": {"a template that renders"},
    "unknown_name": {"batch_start"},
    "missing_file": {"a template that renders"},
    "mapped": {"expand"},
    "use_day": {"xcom of make_day"},
}


@pytest.mark.parametrize("task_id", UNDETERMINED)
def test_what_only_a_run_knows_is_undetermined(zoo: Exported, task_id: str) -> None:
    """A field that asks for more than the schedule knows says what, even where Airflow would render something."""
    assert zoo.needs("templates", task_id) == UNDETERMINED[task_id]
    assert all(row["reason"] for row in zoo.task("templates", task_id)["rendered"][0]["undetermined"])


def test_windows_of_unscheduled_dags_are_undetermined(zoo: Exported) -> None:
    """Without a schedule there is one manual run to look at, whose window nobody can know."""
    for dag_id in ("by_hand", "after_dataset"):
        assert zoo.dags[dag_id]["windows"] == []
        (entry,) = zoo.task(dag_id, "say")["rendered"]
        assert entry["sampled"] == ["unscheduled"]
        assert {"ds", "data_interval_start", "logical_date"} <= {
            row["needs"] for row in entry["undetermined"]
        }
    assert zoo.needs("looped_bronx", "build") == set()
    assert zoo.first("looped_bronx", "build") == "dbt run --select tag:bronx"


RENDERED = {
    "known": 'dbt run --vars \'{"day": "2024-01-01", "next": "2024-01-02"}\'',
    "task_names": "echo task_names task_names templates templates__task_names__20240101",
    "macro": "echo 2023-12-25 2024-01-01",
    "params": "dbt run --select tag:daily 4",
    "file": '#!/bin/sh\ndbt run --vars "{day: 2024-01-01}"',
    "stubborn": "echo 2024-01-01 --stubborn",
}


@pytest.mark.parametrize("task_id", RENDERED)
def test_rendered_text(zoo: Exported, task_id: str) -> None:
    """Airflow's own engine renders the field: macros, filters, params, files and an operator's own way."""
    assert zoo.needs("templates", task_id) == set()
    assert zoo.first("templates", task_id) == RENDERED[task_id]


def test_objects_are_rendered_anew_for_each_window(zoo: Exported) -> None:
    """An object with template fields, which Airflow renders in place, has each window's own values."""
    entries = zoo.task("templates", "container")["rendered"]
    days = [entry["fields"]["container"]["arguments"][-1] for entry in entries]
    assert days == [f"{{day: {entry['start'][:10]}}}" for entry in entries]
    assert len(set(days)) == len(days) > 10
    assert zoo.task("templates", "container")["templated"]["container"]["arguments"][-1] == "{day: {{ ds }}}"


def test_facts_of_dag_and_tasks(zoo: Exported) -> None:
    """What the scheduler does with a task is there: order, rules, retries, pools, limits, callbacks, groups."""
    dag = zoo.dags["templates"]
    assert dag["max_active_runs"] == 3
    assert dag["catchup"] is True
    assert dag["depends_on_past"] is True
    assert dag["tags"] == ["zoo"]
    assert dag["owners"] == ["data-platform"]
    assert dag["params"] == {"models": "tag:daily", "threads": 4}
    assert dag["user_defined_macros"] == ["days_back"]
    assert dag["user_defined_filters"] == ["shout"]
    second = zoo.task("templates", "group.second")
    assert second["upstream"] == ["group.first"]
    assert second["trigger_rule"] == "all_done"
    assert second["execution_timeout_seconds"] == 300
    assert second["task_group"] == "group"
    assert second["callbacks"]["on_failure_callback"] == ["templates.report"]
    assert second["email"] == {
        "to": ["ada@example.com", "bob@example.com"],
        "on_failure": True,
        "on_retry": False,
    }
    assert zoo.task("templates", "group.first")["email"] is None
    assert second["retries"] == 2
    assert second["retry_delay_seconds"] == 30
    assert zoo.task("templates", "group.first")["pool"] == "narrow"
    assert zoo.task("templates", "mapped")["mapped"] is True
    assert zoo.task("templates", "mapped")["in_mapped_group"] is False
    assert zoo.task("templates", "use_each")["mapped"] is True
    assert zoo.task("templates", "mapped")["templated"]["bash_command"] == {
        "__expand__": ["echo a", "echo b"]
    }
    assert zoo.first("templates", "mapped", "env") == {"DAY": "2024-01-01"}
    assert zoo.task("templates", "stubborn")["operator"] == "templates.StubbornOperator"
    assert zoo.task("templates", "stubborn")["bases"][0].endswith("bash.BashOperator")
    assert zoo.task("templates", "file")["template_files"] == {"bash_command": "scripts/run.sh"}


def test_python_callables_are_shown(zoo: Exported) -> None:
    """The source of a callable is there, for what is built in Python and in no template."""
    callable_ = zoo.task("templates", "python")["python_callable"]
    assert (callable_["module"], callable_["qualname"], callable_["file"]) == (
        "templates",
        "run_dbt",
        "templates.py",
    )
    assert '["dbt", "run", "--select", "tag:python"]' in callable_["source"]
    assert zoo.task("templates", "make_day")["python_callable"]["qualname"] == "make_day"


def test_the_code_of_an_own_operator_is_shown(zoo: Exported) -> None:
    """Its classes, the names that they use, and its plain values: enough to know what its `execute` starts."""
    task = zoo.task("own_operators", "built")
    code = task["own_code"]
    assert [*code["definitions"]] == ["own_operators.DbtOperator", "own_operators.DbtBase"]
    assert code["definitions"]["own_operators.DbtOperator"]["names"] == {
        "CHECKED": {"refers": "subprocess.run", "placed": [], "named": {"check": True}}
    }
    assert code["attributes"] == {"program": "dbt", "target": "prod"}
    assert zoo.task("templates", "python")["own_code"] is None

    inventory = read_document(zoo.document, "inventory.json")
    [dag] = [dag for dag in inventory.dags if dag.dag_id == "own_operators"]
    [unit, mapped] = describe(replace(inventory, dags=(dag,)), samples.FakeProject()).units
    [call] = unit.invocations
    assert unit.determined, unit.reason
    assert (unit.kind, call.selection.select, call.target) == (Kind.RUN, ("orders",), "prod")
    assert unit.window.start == "{{ ds }}"
    # The instances of a mapped one get their values while they run.
    assert zoo.task("own_operators", "mapped")["own_code"]["definitions"] == {}
    assert not mapped.determined


def test_no_database_is_touched(version: str, zoo_folder: Path, tmp_path: Path) -> None:
    """A database setting that leads nowhere, and a home of the team, stay unused and unwritten."""
    home = tmp_path / "home"
    home.mkdir()
    done = export(
        PYTHONS[version], zoo_folder, tmp_path / "out.json", ("2024-01-01", "2024-01-02"),
        AIRFLOW_HOME=str(home), AIRFLOW__DATABASE__SQL_ALCHEMY_CONN="sqlite:////nowhere/at/all.db", **HUSH,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list(home.iterdir()) == []
