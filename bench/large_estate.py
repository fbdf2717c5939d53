"""A generated estate: BENCH_ASSETS daily assets with three years of partitions, ten for each Airflow task.

BENCH_ESTATE=ours defines a job for each unit, as our mirrors do; stock maps the assets to their tasks with
dagster-airlift and has no such jobs, so that it does not pay for ours.
"""

import os
from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_airlift.core import assets_with_task_mappings

from dagster_defs.lifecycle import Unit, tags

ASSETS_OF_A_UNIT = 10
PARTITIONS = dg.DailyPartitionsDefinition("2021-01-01", end_date="2024-01-01")


def unit(number: int) -> Unit:
    return Unit(f"dag_{number:04}", "build")


def _assets(number: int) -> dg.AssetsDefinition:
    specs = [dg.AssetSpec(f"table_{number:04}_{each}") for each in range(ASSETS_OF_A_UNIT)]

    @dg.multi_asset(
        name=f"run_{unit(number).identifier}", specs=specs, can_subset=True, partitions_def=PARTITIONS
    )
    def build() -> Iterator[Any]:
        yield from (dg.MaterializeResult(asset_key=spec.key) for spec in specs)

    return build


def _job(number: int, assets: dg.AssetsDefinition) -> Any:
    return dg.define_asset_job(
        unit(number).identifier,
        selection=dg.AssetSelection.assets(*assets.keys),
        tags={tags.UNIT: str(unit(number)), tags.TIMEZONE: "UTC", tags.KEY_FORMAT: "%Y-%m-%d"},
    )


@dg.definitions
def defs() -> dg.Definitions:
    units = {number: _assets(number) for number in range(int(os.environ["BENCH_ASSETS"]) // ASSETS_OF_A_UNIT)}
    if os.environ["BENCH_ESTATE"] == "ours":
        return dg.Definitions(
            assets=[*units.values()], jobs=[_job(number, assets) for number, assets in units.items()]
        )
    mapped = [
        assets
        for number, unit_assets in units.items()
        for assets in assets_with_task_mappings(unit(number).dag_id, {unit(number).task_id: [unit_assets]})
    ]
    return dg.Definitions(assets=mapped)
