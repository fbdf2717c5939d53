"""The partition-vars hook: variables of one window, and of a run over many."""

import pytest
from dagster import BackfillPolicy

from dagster_defs.adapters.dagster.partitions import backfill_policy, partitioned
from dagster_defs.errors import NotRangeable, TemplateRefused
from dagster_defs.windows import Bound, PartitionVars, Schedule, VariableTemplate, Window

DAILY = partitioned(Schedule.of("0 6 * * *", "America/New_York", "2024-01-01"))
MIN = VariableTemplate("min_date", "{{ data_interval_start | ds }}", Bound.LOWER)
MAX = VariableTemplate("max_date", "{{ data_interval_end | ds }}", Bound.UPPER)


def window(key: str) -> Window:
    return DAILY.window_of(key)


def variables(*templates: VariableTemplate, **params: object) -> PartitionVars:
    return PartitionVars(templates, DAILY, "taxi_daily", "dbt_daily", params)


def test_a_partition_has_the_variables_of_its_window() -> None:
    """Every variable is rendered on Airflow's data interval."""
    hook = variables(MIN, MAX)
    assert hook.for_window(window("2024-03-10")) == {"min_date": "2024-03-10", "max_date": "2024-03-11"}


def test_a_run_over_many_windows_takes_the_bounds_of_the_whole() -> None:
    """A lower bound has the first window's value, an upper bound the last's."""
    hook = variables(MIN, MAX, VariableTemplate("target", "{{ params.target }}"), target="prod")
    assert hook.can_range
    assert backfill_policy(takes_ranges=hook.can_range) == BackfillPolicy.single_run()
    assert hook.for_range(window("2024-03-01"), window("2024-03-31")) == {
        "min_date": "2024-03-01",
        "max_date": "2024-04-01",
        "target": "prod",
    }


def test_a_variable_that_is_no_bound_keeps_runs_single() -> None:
    """A window-dependent variable without a bound means one run for each partition, and a range says why
    not."""
    hook = variables(MIN, VariableTemplate("batch", "{{ ts_nodash }}"))
    assert not hook.can_range
    assert backfill_policy(takes_ranges=hook.can_range) == BackfillPolicy.multi_run(1)
    with pytest.raises(NotRangeable, match="batch") as caught:
        hook.for_range(window("2024-03-01"), window("2024-03-02"))
    assert caught.value.variables == ("batch",)
    assert caught.value.unit == "taxi_daily.dbt_daily"


def test_a_range_of_one_partition_is_that_partition() -> None:
    """A single window can always be run, ranged or not."""
    hook = variables(VariableTemplate("batch", "{{ ts_nodash }}"))
    alone = window("2024-03-01")
    assert hook.for_range(alone, alone) == hook.for_window(alone)


def test_a_unit_without_variables_can_range() -> None:
    """Nothing to get wrong: one run for all."""
    assert variables().can_range
    assert variables().for_window(window("2024-03-01")) == {}


def test_a_unit_that_needs_more_than_the_schedule_does_not_load() -> None:
    """Templates are read on construction, so the error comes before any run."""
    with pytest.raises(TemplateRefused, match=r"needs dag_run\.conf"):
        variables(VariableTemplate("start", "{{ dag_run.conf['start'] }}", Bound.LOWER))
    with pytest.raises(TemplateRefused, match=r"needs params\.absent"):
        variables(VariableTemplate("start", "{{ params.absent }}"))


def test_the_zone_of_a_delta_dag_is_its_own() -> None:
    """A timedelta schedule counts in UTC; its templates still see the DAG's time zone."""
    hook = PartitionVars(
        [VariableTemplate("zone", "{{ dag.timezone }}")], DAILY, "d", "t", timezone="Europe/Berlin"
    )
    assert hook.for_window(window("2024-03-01")) == {"zone": "Europe/Berlin"}
