"""The inventory file and the dbt project behind a report."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from dagster_defs.cli import app
from dagster_defs.errors import DbtProjectUnreadable, InventoryUnreadable, InventoryVersion
from dagster_defs.inventory import Selection, SelectionRefused
from dagster_defs.inventory.document import Task, read_document
from dagster_defs.usecases.inventory import ProjectOnDisk, read_inventory, report
from tests.support.inventory_samples import codes, document, sampled, task

FILES = {
    "dbt_project.yml": """
name: shop
profile: shop
flags: {send_anonymous_usage_stats: false}
models:
  shop: {orders: {+tags: [nightly]}}
""",
    "profiles.yml": "shop: {target: dev, outputs: {dev: {type: duckdb, path: ':memory:'}}}\n",
    "selectors.yml": "selectors: [{name: nightly, definition: {method: tag, value: nightly}}]\n",
    "models/sources.yml": """
sources:
  - name: raw
    tables:
      - name: fresh
        config: {loaded_at_field: at, freshness: {warn_after: {count: 1, period: day}}}
      - name: stale
exposures:
  - {name: board, type: dashboard, owner: {name: team}, depends_on: [ref('orders')]}
""",
    "models/orders.yml": "models: [{name: orders, columns: [{name: id, data_tests: [not_null]}]}]\n",
    "models/helper.sql": "{{ config(materialized='ephemeral') }} select * from {{ source('raw', 'fresh') }}",
    "models/orders.sql": "select * from {{ ref('helper') }} where at > (select max(at) from {{ this }})",
    "models/daily.sql": "select * from {{ ref('orders') }} where d between '{{ var('start') }}' and '{{ var('end') }}'",
    "models/empty_shell.sql": "",
    "models/off.sql": "{{ config(enabled=false) }} select 1",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shop")
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture(scope="module")
def parsed(project: Path) -> ProjectOnDisk:
    return ProjectOnDisk(project)


def test_only_what_runs(parsed: ProjectOnDisk) -> None:
    """Ephemeral, empty and disabled models, exposures and sources without freshness are not executed."""
    assert parsed.executed(Selection("run")) == ("model.shop.daily", "model.shop.orders")
    assert parsed.executed(Selection("source freshness")) == ("source.shop.raw.fresh",)
    built = parsed.executed(Selection("build", ("orders+",)))
    assert [node for node in built if not node.startswith("test.")] == [
        "model.shop.daily",
        "model.shop.orders",
    ]
    assert any(node.startswith("test.shop.not_null_orders_id") for node in built)


@pytest.mark.parametrize(
    ("selection", "found"),
    [
        (Selection("run", ("orders",)), ["orders"]),
        (Selection("run", ("shop.orders",)), ["orders"]),
        (Selection("run", ("shop",)), ["daily", "orders"]),
        (Selection("run", ("helper+",)), ["daily", "orders"]),
        (Selection("run", ("+daily", "tag:nightly")), ["daily", "orders"]),
        (Selection("run", ("+daily,tag:nightly",)), ["orders"]),
        (Selection("run", ("+daily",), ("orders",)), ["daily"]),
        (Selection("run", ("d*",)), ["daily"]),
        (Selection("run", ("fqn:orders",)), ["orders"]),
        (Selection("run", ("path:models/daily.sql",)), ["daily"]),
        (Selection("run", ("config.materialized:view",)), ["daily", "orders"]),
        (Selection("run", ("source:raw+1",)), []),
        (Selection("run", selector="nightly"), ["orders"]),
        (Selection("run", ("no_such_model",)), []),
        (Selection("build", ("orders",), (), None, ("--resource-type", "model")), ["orders"]),
    ],
)
def test_selections(parsed: ProjectOnDisk, selection: Selection, found: list[str]) -> None:
    """dbt's own selector answers, with its methods, graph operators, unions and intersections."""
    assert [node.rpartition(".")[2] for node in parsed.executed(selection)] == found


@pytest.mark.parametrize(
    "selection", [Selection("run", ("state:modified",)), Selection("run", selector="none")]
)
def test_refused_selections(parsed: ProjectOnDisk, selection: Selection) -> None:
    """A selection that dbt refuses is refused with dbt's reason, every time it is asked."""
    for _ in range(2):
        with pytest.raises(SelectionRefused, match=r"comparison manifest|Could not find selector"):
            parsed.executed(selection)


def _written(folder: Path, *commands: str) -> Path:
    fields = [{"bash_command": command} for command in commands]
    tasks = [task(field, name=f"t{n}", samples=sampled(field)) for n, field in enumerate(fields)]
    file = folder / "inventory.json"
    file.write_text(json.dumps(document(*tasks)))
    return file


def test_a_report_names_what_the_models_do(tmp_path: Path, project: Path) -> None:
    """Watermarks and inclusive bounds are found in the manifest's own code; a refused selection is one row."""
    window = """--vars '{"start": "{{ ds }}", "end": "{{ tomorrow_ds }}"}'"""
    file = _written(
        tmp_path, "dbt run -s orders", f"dbt run -s daily {window}", "dbt run -s state:new", "dbt run -s x"
    )
    units = report(file, tmp_path / "parity.yaml", [project]).units
    assert codes(units[0]) == ["watermark"]
    assert codes(units[1]) == ["inclusive-upper-bound"]
    assert (units[2].selection_determined, units[2].determined) == (False, False)
    assert codes(units[3]) == ["selects-nothing"]


def test_a_report_reads_only_json_values(tmp_path: Path, project: Path) -> None:
    """The report goes through JSON unchanged, unquoted dates included."""
    found = report(
        _written(tmp_path, "dbt run -s daily --vars '{start: {{ ds }}}'"), tmp_path / "parity.yaml", [project]
    ).as_json()
    assert json.loads(json.dumps(found)) == found
    assert found["units"][0]["invocations"][0]["rendered"][0]["vars"] == {"start": "2024-02-29"}


def test_another_version(tmp_path: Path) -> None:
    """An inventory of another version is refused with both versions."""
    file = tmp_path / "inventory.json"
    file.write_text(json.dumps({"schema": "parity/inventory/9"}))
    with pytest.raises(InventoryVersion, match=r"'parity/inventory/9'.*'parity/inventory/1'"):
        read_inventory(file, tmp_path / "parity.yaml")


@pytest.mark.parametrize("keep", [0, 1, 40, 300, -1, -20])
def test_cut_off(tmp_path: Path, keep: int) -> None:
    """A file that ends in the middle says so, and how to make a whole one."""
    file = _written(tmp_path, "dbt run")
    file.write_text(file.read_text()[:keep])
    with pytest.raises(InventoryUnreadable, match=r"cut off after .*Export it again"):
        read_inventory(file, tmp_path / "parity.yaml")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[]", "no `schema`"),
        ("{,}", "no JSON"),
        ('{"schema": "parity/inventory/1"}', "did not finish"),
        ('{"schema": "parity/inventory/1", "complete": true}', "missing"),
        ('{"schema": "parity/inventory/1", "complete": true, "airflow_version": "2", "import_errors": [], "dags": [7]}',
         "another shape"),
    ],
)  # fmt: skip
def test_unreadable(tmp_path: Path, text: str, reason: str) -> None:
    """What is no inventory is refused with the reason."""
    file = tmp_path / "inventory.json"
    file.write_text(text)
    with pytest.raises(InventoryUnreadable, match=reason):
        read_inventory(file, tmp_path / "parity.yaml")


def test_no_file_and_no_text(tmp_path: Path) -> None:
    """A missing file and a binary one are errors of their own."""
    with pytest.raises(InventoryUnreadable, match="No such file"):
        read_inventory(tmp_path / "nothing.json", tmp_path / "parity.yaml")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InventoryUnreadable, match="not text"):
        read_inventory(tmp_path / "binary", tmp_path / "parity.yaml")


@pytest.mark.parametrize(
    ("files", "reason"), [({}, "no dbt_project.yml"), ({"models/x.sql": "{{ ref( }}"}, "x.sql")]
)
def test_projects_that_do_not_parse(tmp_path: Path, files: dict[str, str], reason: str) -> None:
    """A project that dbt cannot parse is one clear error."""
    if files:
        files = {**{name: FILES[name] for name in ("dbt_project.yml", "profiles.yml")}, **files}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(DbtProjectUnreadable, match=reason):
        ProjectOnDisk(tmp_path).executed(Selection("run"))


def test_a_project_that_does_not_parse_leaves_the_rest(tmp_path: Path) -> None:
    """The units keep their commands and windows, and stdout is still JSON; the project is parsed once."""
    for name in ("dbt_project.yml", "profiles.yml"):
        (tmp_path / name).write_text(FILES[name])
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "x.sql").write_text("{{ ref( }}")
    window = """--vars '{"start": "{{ ds }}", "end": "{{ tomorrow_ds }}"}'"""
    file = _written(tmp_path, f"dbt run -s a {window}", f"dbt build {window}", "echo fine")
    arguments = ["inventory", str(file), "--dbt-project", str(tmp_path), "--json"]
    done = CliRunner().invoke(app, arguments)
    units = json.loads(done.stdout)["units"]
    assert [unit["kind"] for unit in units] == ["dbt-run", "dbt-build", "non-dbt"]
    assert [unit["selection_determined"] for unit in units] == [False, False, True]
    assert [unit["window"]["convention"] for unit in units] == ["half-open", "half-open", "none"]
    assert "x.sql" in units[0]["reason"]
    assert done.exit_code == 1
    assert "error: " in done.stderr


def test_a_folder_without_a_project(tmp_path: Path) -> None:
    """What is no dbt project is one error, not one for each unit."""
    with pytest.raises(DbtProjectUnreadable, match=r"no dbt_project\.yml"):
        report(_written(tmp_path, "dbt run"), tmp_path / "parity.yaml", [tmp_path / "nowhere"])


def test_the_quick_search_is_dbts_own(parsed: ProjectOnDisk) -> None:
    """Narrowing where a name is looked for changes no answer."""
    quick = ProjectOnDisk(parsed.project_dir)._parse()
    plain = ProjectOnDisk(parsed.project_dir)._parse()
    vars(plain)["_search"] = SimpleNamespace(speed_up=lambda selector: selector)
    for name in [
        "orders",
        "shop",
        "shop.orders",
        "helper",
        "daily",
        "not_null_orders_id",
        "raw",
        "raw.fresh",
        "x.y",
        "board",
    ]:
        for command in ("build", "run", "test"):
            selection = Selection(command, (name,))
            assert quick.executed(selection) == plain.executed(selection)


def test_what_a_dag_promises_is_read() -> None:
    """Catch-up, runs at a time and callbacks are the inventory's; an older one without them has Airflow's defaults."""
    told = {"on_failure_callback": ["alerts.page", "alerts.log"]}
    old, new = document(task({})), document(task({}, callbacks=told))
    new["dags"][0] |= {
        "catchup": False,
        "max_active_runs": 3,
        "callbacks": {"sla_miss_callback": ["alerts.late"]},
    }

    [before] = read_document(old, "old.json").dags
    [after] = read_document(new, "new.json").dags

    assert (before.catchup, before.max_active_runs, before.callbacks) == (True, 16, {})
    assert (after.catchup, after.max_active_runs) == (False, 3)
    assert after.callbacks == {"sla_miss_callback": ("alerts.late",)}
    assert isinstance(after.tasks[0], Task)
    assert after.tasks[0].callbacks == {"on_failure_callback": ("alerts.page", "alerts.log")}


def test_the_command(tmp_path: Path, project: Path) -> None:
    """`parity inventory` prints a table with its traps, or the report as JSON."""
    file = _written(tmp_path, "dbt run -s orders || true", "echo fine")
    arguments = ["inventory", str(file), "--dbt-project", str(project)]
    table = CliRunner().invoke(app, arguments)
    assert table.exit_code == 0
    assert "1 of 2 tasks run dbt" in table.output
    assert "masked-failure shop.t0" in table.output
    found = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).output)
    assert found["units"][0]["invocations"][0]["models"] == ["model.shop.orders"]
