"""`parity scaffold --prefer`: another mirror than the operator itself, where somebody asks for one."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from dagster_defs import cli
from dagster_defs.components import CommandUnit, PythonUnit
from dagster_defs.lifecycle.mirrors import Mirror
from dagster_defs.settings import Settings
from dagster_defs.usecases.inventory import read_inventory
from dagster_defs.usecases.verify import verify_mirrors
from tests.support.scaffolded import PROJECT, dag, task
from tests.support.trees import component_tree

CODE = "def export(day, side):\n    ...\n"
COMMAND = task(
    "command",
    "run {{ ds }}",
    templated={"bash_command": "run {{ ds }}", "env": {"DAY": "{{ ds }}"}, "cwd": None},
    settings={"append_env": True, "skip_on_exit_code": [99]},
)
FUNCTION = task(
    "function",
    "",
    operator="airflow.operators.python.PythonOperator",
    templated={"op_args": [], "op_kwargs": {"day": "{{ ds }}", "side": "legacy"}, "templates_dict": None},
    python_callable={"module": "shop", "qualname": "export", "source": CODE},
)
DOCKER = task(
    "boxed",
    "",
    operator="airflow.providers.docker.operators.docker.DockerOperator",
    templated={
        "image": "shop/export:2",
        "command": ["--day", "{{ ds }}"],
        "environment": {"DAY": "{{ ds }}"},
    },
    settings={"network_mode": "host"},
    given=["command", "environment", "image", "network_mode"],
)
POD = task(
    "pod",
    "",
    operator="airflow.providers.cncf.kubernetes.operators.pod.KubernetesPodOperator",
    templated={
        "image": "shop/export:2",
        "cmds": ["export"],
        "arguments": ["{{ ds }}"],
        "env_vars": [{"__class__": "V1EnvVar", "name": "DAY", "value": "{{ ds }}"}],
        "namespace": "etl",
    },
    given=["arguments", "cmds", "env_vars", "image", "namespace"],
)
REMOTE = task(
    "remote",
    "",
    operator="airflow.providers.ssh.operators.ssh.SSHOperator",
    templated={
        "command": "bin/export {{ ds }}",
        "environment": {"DAY": "{{ ds }}"},
        "ssh_conn_id": "etl_host",
        "remote_host": None,
    },
    given=["command", "environment", "ssh_conn_id"],
)
TASKS = (COMMAND, FUNCTION, DOCKER, POD, REMOTE)
RENDERED = {
    "command": {"bash_command": "run 2024-03-01", "env": {"DAY": "2024-03-01"}, "cwd": None},
    "function": {"op_args": [], "op_kwargs": {"day": "2024-03-01", "side": "legacy"}},
    "boxed": {
        "image": "shop/export:2",
        "command": ["--day", "2024-03-01"],
        "environment": {"DAY": "2024-03-01"},
    },
    "pod": {
        "image": "shop/export:2",
        "cmds": ["export"],
        "arguments": ["2024-03-01"],
        "env_vars": [{"__class__": "V1EnvVar", "name": "DAY", "value": "2024-03-01"}],
    },
    "remote": {"command": "bin/export 2024-03-01", "environment": {"DAY": "2024-03-01"}},
}


@pytest.fixture
def estate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the function's module, and an inventory of one window of both tasks."""
    monkeypatch.setenv("SHOP_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(PROJECT, tmp_path / "dbt")
    (tmp_path / "pyproject.toml").write_text('[tool.dg]\ndirectory_type = "project"\n')
    (tmp_path / "legacy_dags").mkdir()
    (tmp_path / "legacy_dags" / "shop.py").write_text(CODE)
    window = {"start": "2024-03-01T04:00:00+00:00", "end": "2024-03-02T04:00:00+00:00"}
    tasks = [{**each, "rendered": [{**window, "fields": RENDERED[each["task_id"]]}]} for each in TASKS]
    document = {
        "schema": "parity/inventory/1", "complete": True, "airflow_version": "2.11.2",
        "import_errors": [], "dags": [dag("orders", *tasks)],
    }  # fmt: skip
    (tmp_path / "parity.yaml").write_text("hosts: {etl_host: {host: etl.example.com}}\n")
    (tmp_path / "inventory.json").write_text(json.dumps(document))
    return tmp_path


def scaffold(estate: Path, *more: str) -> dict[str, str]:
    """The type of each unit's mirror."""
    out = estate / "dagster_defs" / "defs"
    arguments = [str(estate / "inventory.json"), "--dbt-project", str(estate / "dbt"), "--out", str(out)]
    outcome = CliRunner().invoke(cli.app, ["scaffold", *arguments, *more])
    assert outcome.exit_code == 0, outcome.output
    documents = list(yaml.safe_load_all((out / "orders" / "defs.yaml").read_text()))
    return {each["attributes"]["unit"]: each["type"].rpartition(".")[2] for each in documents}


def test_only_what_is_preferred_replaces_the_operator(estate: Path) -> None:
    """Each kind by its own option; without one, only the command whose host the team has named."""
    none = {f"orders.{each['task_id']}": "LegacyTask" for each in TASKS} | {"orders.remote": "CommandUnit"}
    commands = {f"orders.{name}": "CommandUnit" for name in ("command", "boxed", "pod")}

    assert scaffold(estate) == none
    assert scaffold(estate, "--prefer", "command") == {**none, **commands}
    assert scaffold(estate, "--prefer", "python") == {**none, "orders.function": "PythonUnit"}


def test_below_a_branch_a_preferred_mirror_asks(estate: Path) -> None:
    """A better mirror asks Airflow's rules before it runs, so its DAG can be retired; the branch stays as it is."""
    inventory = json.loads((estate / "inventory.json").read_text())
    [whole] = inventory["dags"]
    branch = task("branch", "", operator="airflow.operators.python.BranchPythonOperator", upstream=[])
    for each in whole["tasks"]:
        each["upstream"] = ["branch"] if each["task_id"] in ("command", "function") else []
    whole["tasks"].append(branch)
    whole["file"] = "shop/orders.py"
    (estate / "inventory.json").write_text(json.dumps(inventory))

    kinds = scaffold(estate, "--prefer", "command", "--prefer", "python")

    assert kinds["orders.branch"] == "LegacyTask"
    assert (kinds["orders.command"], kinds["orders.function"]) == ("CommandUnit", "PythonUnit")
    text = (estate / "dagster_defs" / "defs" / "orders" / "defs.yaml").read_text()
    asked = {
        each["attributes"]["unit"]: each["attributes"].get("trigger_rules")
        for each in yaml.safe_load_all(text)
    }
    assert {unit for unit, rules in asked.items() if rules == {"dag_file": "shop/orders.py"}} == {
        "orders.command",
        "orders.function",
    }


@pytest.mark.parametrize(
    ("callbacks", "kind"),
    [
        ({"on_failure_callback": ["shop.export"]}, "PythonUnit"),
        ({"on_failure_callback": ["shop.<lambda>"]}, "LegacyTask"),
        ({"on_failure_callback": ["shop.export", "shop.other"]}, "LegacyTask"),
        ({"on_failure_callback": ["shop.export"], "on_execute_callback": ["shop.export"]}, "PythonUnit"),
    ],
)
def test_what_the_task_calls_is_called(estate: Path, callbacks: dict[str, list[str]], kind: str) -> None:
    """By the mirror if it can; otherwise the operator itself stays, whose callbacks Airflow's own engine calls."""
    inventory = json.loads((estate / "inventory.json").read_text())
    [whole] = inventory["dags"]
    for each in whole["tasks"]:
        each["callbacks"] = callbacks if each["task_id"] == "function" else {}
    (estate / "inventory.json").write_text(json.dumps(inventory))

    assert scaffold(estate, "--prefer", "python")["orders.function"] == kind

    written = (estate / "dagster_defs" / "defs" / "orders" / "defs.yaml").read_text()
    assert ("on_failure: shop.export" in written) is (kind == "PythonUnit")
    assert ("is called by a LegacyTask only" in written) is (kind == "LegacyTask")


OTHERS_SQL = (
    "airflow.providers.google.cloud.operators.bigquery.BigQueryInsertJobOperator",
    "airflow.providers.google.cloud.operators.bigquery.BigQueryExecuteQueryOperator",
    "airflow.providers.mysql.operators.mysql.MySqlOperator",
    "airflow.providers.microsoft.mssql.operators.mssql.MsSqlOperator",
    "airflow.providers.trino.operators.trino.TrinoOperator",
    "airflow.providers.amazon.aws.operators.redshift_sql.RedshiftSQLOperator",
    "airflow.providers.amazon.aws.operators.redshift_data.RedshiftDataOperator",
    "airflow.providers.sqlite.operators.sqlite.SqliteOperator",
    "airflow.providers.snowflake.operators.snowflake.SnowflakeSqlApiOperator",
    "airflow.providers.common.sql.operators.generic_transfer.GenericTransfer",
    *(
        f"airflow.providers.common.sql.operators.sql.{name}Operator"
        for name in (
            "SQLColumnCheck",
            "SQLTableCheck",
            "SQLCheck",
            "SQLValueCheck",
            "SQLThresholdCheck",
            "BranchSQL",
        )
    ),
    "airflow_clickhouse_plugin.operators.clickhouse.ClickHouseOperator",
)


@pytest.mark.parametrize("preferred", [(), ("--prefer", "command", "--prefer", "python")])
def test_sql_that_cannot_be_compared_runs_as_it_is(estate: Path, preferred: tuple[str, ...]) -> None:
    """Each has a mirror without a gap, and none is said to run dbt."""
    inventory = json.loads((estate / "inventory.json").read_text())
    sql = {
        "sql": "select 1",
        "configuration": {"query": {"query": "select '{{ ds }}'", "useLegacySql": False}},
    }
    tasks = [task(f"t{place}", "", operator=name, templated=sql) for place, name in enumerate(OTHERS_SQL)]
    (estate / "inventory.json").write_text(json.dumps({**inventory, "dags": [dag("orders", *tasks)]}))

    assert set(scaffold(estate, *preferred).items()) == {
        (f"orders.{each['task_id']}", "LegacyTask") for each in tasks
    }
    written = (estate / "dagster_defs" / "defs" / "orders" / "defs.yaml").read_text()
    assert "may run dbt" not in written
    assert "GAP" not in written


def test_a_preferred_mirror_loads_and_verifies(estate: Path) -> None:
    """It does what the task does, and no gate accepts that nobody has said what it writes."""
    kinds = scaffold(estate, "--prefer", "command", "--prefer", "python")
    assert set(kinds.values()) == {"CommandUnit", "PythonUnit"}

    found = mirrors(estate)

    for mirror in found:
        mirror.refuse_faults(resolved=True)
        assert mirror.gate_settings.never_compared == "nobody has said yet where a candidate may write"
    verified = verify_mirrors(
        Settings.from_process(), found, read_inventory(estate / "inventory.json", estate / "parity.yaml")
    )
    for unit in verified:
        assert unit.differing == ()
        agreeing = {facet.name for facet in unit.facets if facet.agrees.value == "agrees"}
        assert agreeing >= {"variables", "selection"}, unit.facets


def mirrors(root: Path) -> list[Mirror]:
    tree = component_tree(root / "dagster_defs" / "defs", root)
    listed: list[Any] = [*tree.get_all_components(of_type=CommandUnit)]
    listed += tree.get_all_components(of_type=PythonUnit)
    return list({mirror.unit: mirror for mirror in listed}.values())


@pytest.mark.parametrize("preferred", [(), ("command",), ("python",), ("command", "python")])
def test_the_summary_counts_what_a_scaffold_with_the_same_preference_writes(
    estate: Path, preferred: tuple[str, ...]
) -> None:
    """Mirrors by type, and the DAGs that need no LegacyTask."""
    options = [word for kind in preferred for word in ("--prefer", kind)]
    written = Counter(scaffold(estate, *options).values())

    arguments = [str(estate / "inventory.json"), "--dbt-project", str(estate / "dbt"), "--summary", "--json"]
    outcome = CliRunner().invoke(cli.app, ["inventory", *arguments, *options])
    assert outcome.exit_code == 0, outcome.output
    counted = json.loads(outcome.stdout)

    assert counted["mirrors"] == written
    assert counted["tasks"]["as_it_is"] == written["LegacyTask"]
    assert counted["tasks"]["mirrored"] == len(TASKS) - written["LegacyTask"]
    assert counted["dags"]["every_task_mirrored"] == (["orders"] if len(preferred) == 2 else [])


def test_a_preference_without_the_summary_is_refused(estate: Path) -> None:
    """The other form of the inventory knows no mirrors."""
    arguments = [str(estate / "inventory.json"), "--dbt-project", str(estate / "dbt"), "--prefer", "command"]

    outcome = CliRunner().invoke(cli.app, ["inventory", *arguments])

    assert outcome.exit_code == 2
    assert "--summary" in outcome.output
