"""Nodes are known by dbt's unique id: versions, unit tests on them, seeds beside sources, two projects."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import dagster as dg
import pytest
from pytest_mock import MockerFixture

from dagster_defs.adapters.dbt import in_process as adapter
from dagster_defs.components.project import load_project
from dagster_defs.components.units.broken_unit import broken_key
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.mirrors import TableOutput
from dagster_defs.lifecycle.not_read import NOT_READ
from dagster_defs.lifecycle.verdicts import Evidence, WindowCheck
from dagster_defs.parity import Check, SideCounts, Verdict
from dagster_defs.settings import Settings
from dagster_defs.usecases.move.facts import read_record
from tests.support.dbt_world import World
from tests.support.instances import instance_for_test

VERSIONS = {
    "models/customers_v1.sql": "{{ config(materialized='table') }} select 1 as customer_id, 'a' as label",
    "models/customers_v2.sql": "{{ config(materialized='table') }} select 1 as customer_id, 'A' as label, 2 as more",
    "models/readers.sql": "{{ config(materialized='table', alias='reader_facts', schema='marts') }}"
    " select customer_id, label from {{ ref('customers', v=1) }}",
    "models/schema.yml": "models: [{name: customers, latest_version: 2, versions: [{v: 1}, {v: 2}]}]",
    "models/unit.yml": "unit_tests: [{name: label_is_upper, model: customers, versions: {include: [2]}, given: [],"
    " expect: {rows: [{customer_id: 1, label: A}]}}]",
}
SEEDED = {
    "dbt_project.yml": "seeds: {shop: {+schema: raw}}",
    "seeds/events.csv": "id\n1\n",
    "models/joined.sql": "select s.id from {{ source('raw', 'events') }} s join {{ ref('events') }} e using (id)",
    "models/others.sql": "{{ config(materialized='table') }} select id from {{ source('other', 'events') }}",
    "models/schema.yml": "sources: [{name: raw, tables: [{name: events}]}, {name: other, tables: [{name: events}]}]",
}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    from dagster_defs.adapters.dbt import workspaces

    monkeypatch.setattr(workspaces, "_WORKSPACES", {})
    return World(tmp_path)


def checks_of(definitions: dg.Definitions) -> set[str]:
    return {
        f"{key.asset_key.to_user_string()}:{key.name}"
        for key in definitions.resolve_asset_graph().asset_check_keys
    }


def keys_of(definitions: dg.Definitions) -> set[str]:
    return {spec.key.to_user_string() for spec in definitions.resolve_all_asset_specs()}


def why(definitions: dg.Definitions, unit: str) -> str:
    [spec] = [each for each in definitions.resolve_all_asset_specs() if each.key == broken_key(unit)]
    return str(spec.metadata["why"])


def test_every_version_is_compared(world: World) -> None:
    """05-versioned-model-not-compared, 06-unit-test-on-versioned-model: each version has its own comparison, on terms
    of its own, and the unit test is a check of the version that it is about."""
    world.project("dbt", VERSIONS)
    compare = [
        {"name": "customers", "key": ["customer_id"]},
        {"name": "customers.v1", "key": ["label"], "masked": ["label"]},
        {"name": "model.shop.readers", "key": ["label"]},
    ]
    world.declare({"unit": "shop.build", "select": "customers readers", "compare": compare})

    definitions = world.load()

    checks = checks_of(definitions)
    assert {check for check in checks if check.endswith(":parity")} == {
        "shadow/customers_v1:parity",
        "shadow/customers_v2:parity",
        "shadow/marts/readers:parity",
    }
    assert {check for check in checks if check.endswith(":label_is_upper")} == {
        "customers_v2:label_is_upper",
        "shadow/customers_v2:label_is_upper",
    }
    [mirror] = world.mirrors()
    outputs = {output.name: output for output in mirror.outputs_of(mirror.partitions.schedule.first_window())}
    assert {name: (output.key, output.terms.masked) for name, output in outputs.items()} == {
        "customers.v1": (("label",), ("label",)),
        "customers.v2": (("customer_id",), ()),
        "readers": (("label",), ()),
    }
    relations = {name: output.legacy for name, output in outputs.items() if isinstance(output, TableOutput)}
    assert relations["customers.v1"].endswith('"customers_v1"')
    assert relations["readers"].endswith('"main_marts"."reader_facts"')


def kept(name: str, partition: str = "2024-01-01") -> Evidence:
    start = datetime.fromisoformat(f"{partition}T00:00:00+00:00")
    check = Check(name, Verdict.MATCH, "", rows=SideCounts(1, 1))
    return Evidence(WindowCheck(Unit("shop", "build"), partition, check), partition, start, start)


def test_evidence_under_the_bare_name_of_versions_does_not_count(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A verdict that was kept as `customers` is one version's, and nobody can tell whose: it proves neither, and closes
    no gate for ever; verdicts under names that are still an output's count."""
    monkeypatch.setenv("PARITY_PROXIED_STATE", str(world.root / "proxied_state"))
    world.project("dbt", VERSIONS)
    world.declare({"unit": "shop.build", "select": "customers readers"})
    evidence = [kept("customers"), kept("customers.v1"), kept("readers"), kept("gone")]

    record = read_record(Settings.from_process(), facets={}, evidence=evidence, mirrors=world.mirrors())

    unit = Unit("shop", "build")
    assert record.evidence is not None
    assert [each.checked.check.name for each in record.evidence[unit]] == ["customers.v1", "readers", "gone"]
    compared = record.facts(unit).compared
    assert compared is not NOT_READ
    assert compared.never == ("customers.v2",)
    [window] = compared.windows
    assert window.missing == ()


def test_a_model_without_versions_keeps_its_evidence(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is the output's own today is not a former one."""
    monkeypatch.setenv("PARITY_PROXIED_STATE", str(world.root / "proxied_state"))
    world.project("dbt", {"models/customers.sql": "{{ config(materialized='table') }} select 1 as id"})
    world.declare({"unit": "shop.build", "select": "customers"})

    record = read_record(
        Settings.from_process(), facets={}, evidence=[kept("customers")], mirrors=world.mirrors()
    )

    assert record.evidence is not None
    assert [each.checked.check.name for each in record.evidence[Unit("shop", "build")]] == ["customers"]


@pytest.mark.parametrize("name", ["customers.v3", "customer", "other.customers.v1", "model.shop.customers"])
def test_a_version_that_is_not_there(world: World, name: str) -> None:
    """A name of no node breaks the unit, and is named."""
    world.project("dbt", VERSIONS)
    world.declare({"unit": "shop.build", "compare": [{"name": name}]})

    assert f"`compare` names a model {name!r} that does not exist" in str(
        world.mirrors().broken["shop.build"]
    )


def test_a_source_and_a_seed_of_one_key(world: World) -> None:
    """14-source-and-seed-one-key: two tables are not one asset. Both are named; a unit that builds neither loads."""
    world.project("dbt", SEEDED)
    world.declare(
        {"unit": "shop.build", "select": "events joined"},
        {"unit": "shop.others", "select": "others"},
        {"unit": "shop.seeds", "command": "seed", "select": "events"},
    )

    definitions = world.load()

    for unit in ("shop.build", "shop.seeds"):
        message = why(definitions, unit)
        assert "two tables would be the one asset 'raw/events'" in message
        assert "seed events of dbt/" in message
        assert "source raw.events of dbt/" in message
        assert "key_prefix" in message
    assert {"others", "shadow/others", "other/events"} <= keys_of(definitions)
    assert set(world.mirrors().broken) == {"shop.build", "shop.seeds"}


def test_two_projects_with_one_model_name(world: World) -> None:
    """16-two-projects-one-model-name: without a prefix both units are broken and named, with one both are there, and
    a source of one project that is a model of the other is still that model."""
    model = {"models/customers.sql": "{{ config(materialized='table') }} select 1 as id"}
    reading = {
        "models/customers.sql": "{{ config(materialized='table') }} select id from {{ source('shop', 'customers') }}",
        "models/schema.yml": "sources: [{name: shop, tables: [{name: customers, config: {meta: {dagster: "
        "{asset_key: [customers]}}}}]}]",
    }
    world.project("dbt", model)
    world.project("dbt_finance", reading, name="finance")
    shop = {"unit": "shop.build", "select": "customers"}
    finance = {"unit": "finance.build", "project": "dbt_finance", "select": "customers"}
    world.declare(shop, finance)

    refused = world.load()

    for unit in ("shop.build", "finance.build"):
        message = why(refused, unit)
        assert "two tables would be the one asset 'customers'" in message
        assert "model customers of dbt/" in message
        assert "model customers of dbt_finance/" in message
        assert "in shop.build" in message
        assert "in finance.build" in message
        assert "`key_prefix`" in message

    world.declare(shop, {**finance, "key_prefix": "finance/marts"})
    definitions = world.load()

    assert keys_of(definitions) == {
        "customers", "shadow/customers", "finance/marts/customers", "shadow/finance/marts/customers"
    }  # fmt: skip
    graph = definitions.resolve_asset_graph()
    assert graph.get(dg.AssetKey(["finance", "marts", "customers"])).parent_keys == {dg.AssetKey("customers")}
    mirrors = {str(mirror.legacy_unit): mirror for mirror in world.mirrors()}
    assert mirrors["finance.build"].declared().writes == {"finance/marts/customers"}


def test_a_seed_declares_itself(world: World) -> None:
    """estate-verify_seed: a seed reads nothing, and `verify` asks it like any other unit."""
    world.project("dbt", SEEDED)
    world.declare({"unit": "loads.countries", "command": "seed", "select": "events"})

    [mirror] = world.mirrors() or [None]

    assert mirror is not None
    declared = mirror.declared()
    assert (declared.nodes, declared.reads, declared.writes) == (
        frozenset({"seed.shop.events"}), frozenset(), frozenset({"raw/events"})
    )  # fmt: skip


def test_a_selection_of_nothing_is_an_empty_unit(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """estate-selects_nothing: what runs nothing loads as a unit that does nothing, with a warning, and runs so."""
    world.project("dbt", VERSIONS)
    world.declare(
        {"unit": "audit.test", "command": "test", "select": "readers"},
        {"unit": "audit.run", "command": "run", "select": "readers"},
    )

    definitions = world.load()

    assert {"audit/test", "marts/readers"} <= keys_of(definitions)
    assert (
        "unit audit.test: its selection '--select readers' matches nothing that dbt test runs" in caplog.text
    )
    mirrors = {str(mirror.legacy_unit): mirror for mirror in world.mirrors()}
    assert mirrors["audit.test"].declared().nodes == frozenset()
    window = mirrors["audit.test"].partitions.schedule.first_window()
    assert list(mirrors["audit.test"].outputs_of(window)) == []
    job = definitions.resolve_job_def("shadow__audit__test")
    with instance_for_test() as instance:
        assert job.execute_in_process(partition_key="2024-01-01", instance=instance).success


def test_packages_that_are_not_there_are_said_once(
    world: World, caplog: pytest.LogCaptureFixture, mocker: MockerFixture
) -> None:
    """Without `dbt deps` every unit of the project is broken, dbt is asked once, the command is named,
    and it is one line; units of another project load."""
    world.project("dbt", {**VERSIONS, "packages.yml": "packages: [{local: ../nowhere}, {local: ../neither}]"})
    world.project("dbt_fine", {"models/fine.sql": "select 1 as id"}, name="fine")
    names = [f"many.task_{number:02}" for number in range(12)]
    fine = {"unit": "own.fine", "project": "dbt_fine", "select": "fine"}
    world.declare(*({"unit": name, "select": "readers"} for name in names), fine)
    asked = mocker.spy(adapter, "unreadable")

    definitions = world.load()

    [line] = [record.getMessage() for record in caplog.records if "broken: " in record.getMessage()]
    assert line.startswith(
        "broken: 12 units (many.task_00, many.task_01, many.task_02 and 9 more): cannot read"
    )
    assert f"dbt deps --project-dir {world.root / 'dbt'}" in line
    assert {broken_key(name).to_user_string() for name in names} < keys_of(definitions)
    assert "fine" in keys_of(definitions)
    assert asked.call_count == 1


def test_a_folder_of_gaps_loads_as_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """estate-all_gaps: where nothing is mirrored yet there are no definitions and no mirrors, and no error."""
    from dagster_defs.adapters.dagster.mirrors import load_mirrors

    gaps = tmp_path / "all_gaps" / "defs" / "by_hand" / "gaps.yaml"
    gaps.parent.mkdir(parents=True)
    gaps.write_text("# GAP: by_hand.run: no window that recurs\n")
    (tmp_path / "pyproject.toml").write_text(
        '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "all_gaps"\n'
    )
    monkeypatch.syspath_prepend(tmp_path)

    assert keys_of(load_project(tmp_path)) == set()
    assert list(load_mirrors(tmp_path)) == []
