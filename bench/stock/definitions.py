"""Stock dagster-dbt assets, mapped to an Airflow task with stock dagster-airlift."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_airlift.core import assets_with_task_mappings
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, DbtProject, dbt_assets

# dagster-dbt writes beside the project: the bench gives it a copy, so that ours is not disturbed
PROJECT = DbtProject(Path(os.environ["BENCH_STOCK_DBT"]), target="legacy")
PROJECT.prepare_if_dev()


class Prefixed(DagsterDbtTranslator):
    """Ours and stock share one Dagster here, and Airlift finds a key in one code location only."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        return super().get_asset_key(dbt_resource_props).with_prefix("stock")


@dbt_assets(
    dagster_dbt_translator=Prefixed(),
    manifest=PROJECT.manifest_path,
    project=PROJECT,
    select="tag:daily",
    # Stock proxies read partition keys as UTC, so the window is a UTC day here.
    partitions_def=dg.DailyPartitionsDefinition("2024-03-01", end_date="2024-04-01"),
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def stock_daily(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
    window = context.partition_time_window
    variables = {"min_date": window.start.strftime("%Y-%m-%d"), "max_date": window.end.strftime("%Y-%m-%d")}
    yield from (
        dbt.cli(["build", "--vars", json.dumps(variables)], context=context).stream().fetch_row_counts()
    )


defs = dg.Definitions(
    assets=assets_with_task_mappings(dag_id="bench_stock", task_mappings={"dbt_daily": [stock_daily]}),
    resources={"dbt": DbtCliResource(PROJECT)},
    jobs=[dg.define_asset_job("stock_daily_job", selection=dg.AssetSelection.assets(stock_daily))],
)
