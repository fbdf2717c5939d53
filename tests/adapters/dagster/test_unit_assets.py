"""The step of a unit is the one that Dagster's own decorator would build, in less time."""

import inspect
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dagster as dg
import pytest
from pytest_mock import MockerFixture

from dagster_defs.adapters.dagster import unit_assets
from dagster_defs.adapters.dagster.internal_names import internal_names
from dagster_defs.adapters.dagster.unit_assets import UnitAssets, UnitStep, respecified
from dagster_defs.errors import DagsterUnsupported

RAW = dg.AssetKey(["raw", "orders"])
DAILY = dg.DailyPartitionsDefinition("2024-01-01")
SPEC = dg.AssetSpec(
    ["shadow", "orders"],
    deps=[RAW, dg.AssetDep("days", metadata={"read": 1})],
    description="Orders.",
    metadata={"table": "orders", "count": 3},
    group_name="sales",
    code_version="7",
    tags={"team": "x"},
    partitions_def=DAILY,
)
STEP = UnitStep(
    name="run__sales__build",
    specs=[SPEC],
    checks=[dg.AssetCheckSpec("rows", asset=SPEC.key), dg.AssetCheckSpec("fresh", asset=RAW)],
    can_subset=True,
    partitions=DAILY,
    backfills=dg.BackfillPolicy.single_run(),
    config_schema=None,
    pool=None,
    tags={"parity/unit": "sales.build"},
)
WITHOUT_PARTITIONS = SPEC.replace_attributes(partitions_def=None)
LAST = SPEC.replace_attributes(key="totals", deps=[SPEC.key, RAW])
MAPPED = SPEC.replace_attributes(deps=[dg.AssetDep(RAW, partition_mapping=dg.AllPartitionMapping()), "days"])
STEPS = {
    "one asset": STEP,
    "nothing read": replace(STEP, specs=[SPEC.replace_attributes(deps=[])]),
    "several assets that read each other": replace(STEP, specs=[SPEC, LAST]),
    "several assets, none apart": replace(STEP, specs=[SPEC, LAST], can_subset=False),
    "no checks": replace(STEP, checks=[]),
    "runs as a whole": replace(STEP, can_subset=False, checks=[]),
    "a partition mapping": replace(STEP, specs=[MAPPED]),
    "no clock": replace(
        STEP,
        specs=[WITHOUT_PARTITIONS],
        partitions=None,
        backfills=None,
        config_schema={"conf": dg.Field(dict, is_required=False)},
    ),
}


def test_a_dagster_without_an_internal_name_is_refused_by_its_version() -> None:
    """The installed version, the name and the versions that are made for this."""
    with (
        pytest.raises(DagsterUnsupported, match=r"dagster._core.*Install .*: dagster[<>]") as refused,
        internal_names(),
    ):
        from dagster._core.definitions import nothing_of_the_kind  # type: ignore[attr-defined]  # noqa: F401

    assert refused.value.installed == dg.__version__
    assert "nothing_of_the_kind" in str(refused.value)


def run(context: dg.AssetExecutionContext) -> Iterator[Any]:
    yield dg.MaterializeResult(asset_key=SPEC.key)


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())
def test_a_step_is_what_dagsters_decorator_builds(step: UnitStep) -> None:
    """Every attribute of the definition, its op, inputs and outputs is the same, and no shape needs the decorator."""
    ours = step.decorate(run)

    assert isinstance(ours, UnitAssets)
    assert unit_assets.attributes(ours) == unit_assets.attributes(step.by_dagster(run))


@pytest.mark.parametrize("first", ["signed", "plain"])
def test_a_step_takes_nothing_from_another(first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that says its own signature, as a dbt unit's does, and one that does not: in either order, neither
    needs the decorator, and each definition is the decorator's."""
    monkeypatch.setattr(unit_assets, "_PROTOTYPES", {})
    monkeypatch.setattr(unit_assets, "_DIFFERS", {})

    def signed(context: dg.AssetExecutionContext) -> Iterator[Any]:
        yield from run(context)

    def plain(context: dg.AssetExecutionContext) -> Iterator[Any]:
        yield from run(context)

    signed.__signature__ = inspect.signature(run)  # type: ignore[attr-defined]  # where `inspect` looks first
    several = STEPS["several assets that read each other"]
    runs = [(STEP, signed), (several, plain)] if first == "signed" else [(several, plain), (STEP, signed)]
    for step, function in [
        *runs,
        *((step, other) for (step, _), (_, other) in zip(runs, reversed(runs), strict=True)),
    ]:
        ours = step.decorate(function)

        assert isinstance(ours, UnitAssets)
        assert unit_assets.attributes(ours) == unit_assets.attributes(step.by_dagster(function))


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())
def test_copies_are_what_dagster_copies(step: UnitStep) -> None:
    """With other metadata of assets and checks, and with resources, as a load gives them to each definition."""
    metadata: dict[Any, Any] = {SPEC.key: {"place": "a"}, dg.AssetCheckKey(SPEC.key, "rows"): {"place": "b"}}
    resources = {"io_manager": dg.mem_io_manager, "unrelated": dg.ResourceDefinition.none_resource()}

    ours, theirs = (
        assets.with_attributes(metadata_by_key=metadata).with_resources(resources)
        for assets in (step.decorate(run), step.by_dagster(run))
    )

    assert isinstance(ours, UnitAssets)
    assert unit_assets.attributes(ours) == unit_assets.attributes(theirs)


def test_a_step_runs_as_dagsters_does(tmp_path: Any) -> None:
    """A run of one partition materializes the asset."""
    step = replace(STEP, checks=[], specs=[SPEC.replace_attributes(deps=[])])
    assets = step.decorate(run)

    with dg.DagsterInstance.ephemeral(str(tmp_path)) as instance:
        result = dg.materialize([assets], instance=instance, partition_key="2024-01-02")

    assert [event.asset_key for event in result.get_asset_materialization_events()] == [SPEC.key]


@pytest.mark.parametrize(
    "step",
    [replace(STEP, pool="warehouse"), replace(STEP, specs=[WITHOUT_PARTITIONS])],
    ids=["a pool", "partitions of the step alone"],
)
def test_what_no_prototype_has_is_dagsters_own(step: UnitStep) -> None:
    """The decorator builds it, with all its checks."""
    assert type(step.decorate(run)) is dg.AssetsDefinition


def test_another_dagster_builds_its_own(mocker: MockerFixture) -> None:
    """Where the first definition of a shape differs from the decorator's, the decorator builds all of the shape."""
    mocker.patch.dict(unit_assets._DIFFERS, clear=True)
    differs = mocker.patch.object(unit_assets, "is_same", return_value=False)

    assert [type(STEP.decorate(run)) for _ in range(2)] == [dg.AssetsDefinition] * 2
    assert differs.call_count == 1


def test_what_is_wrong_is_said_as_dagster_says_it() -> None:
    """A name that Dagster refuses is refused with Dagster's error."""
    with pytest.raises(dg.DagsterInvalidDefinitionError, match="is not a valid name"):
        replace(STEP, name="run it").decorate(run)


@pytest.mark.parametrize("wrong", [{"tags": {"team": "x" * 300}}, {"owners": ["nobody"]}])
def test_tags_and_owners_are_validated(wrong: dict[str, Any]) -> None:
    """They come from what a person writes."""
    with pytest.raises(dg.DagsterInvalidDefinitionError):
        respecified(SPEC, **wrong)
