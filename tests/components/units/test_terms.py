"""What a unit's YAML may say about tolerances, masks and samples, and what is said where it may not."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from dagster_defs.components.units.broken_unit import BROKEN
from dagster_defs.components.units.compared_model import ComparedModel
from dagster_defs.components.units.dbt_unit import DbtUnit
from dagster_defs.components.units.unit_schedule import UnitSchedule
from dagster_defs.lifecycle.mirrors import TableOutput, Terms
from dagster_defs.parity import Tolerance, ToleranceKind
from tests.components.conftest import NEW_YORK_DAYS, WINDOW, Project

Declared = Callable[..., tuple[str, dict[str, Any]]]
GOOD = {
    "column": "total_amount",
    "kind": "absolute",
    "value": 0.01,
    "reason": "rounded",
    "expires": "2026-12-31",
}
KEY = ["trip_date", "pickup_borough"]
FILE = {"key": "thing", "file": "thing_{{ data_interval_start | ds }}.csv", "file_key": ["id"]}


def refusal(project: Project) -> str:
    """What Dagster shows of the one broken unit, in place of its assets."""
    specs = project.load().resolve_all_asset_specs()
    [why] = [str(spec.metadata["why"]) for spec in specs if spec.key.path[0] == BROKEN]
    return why


def test_terms_reach_the_output(project: Project) -> None:
    """Tolerances, masks and samples of a model are those of its output; other models have none."""
    compared = ComparedModel("daily_metrics", KEY, tolerances=[GOOD], masked=["trips"], samples=0)
    schedule = UnitSchedule("0 6 * * *", "2023-11-01", "America/New_York")
    unit = DbtUnit("own.dbt", schedule, select="tag:daily", vars=WINDOW, compare=[compared])
    unit.root = project.estate.root
    with project.estate.entered():
        outputs = {output.name: output for output in unit.outputs_of(unit.partitions.window_of("2024-03-09"))}

    tolerance = Tolerance(
        "total_amount", ToleranceKind.ABSOLUTE, Decimal("0.01"), "rounded", date(2026, 12, 31)
    )
    daily = outputs["daily_metrics"]
    assert isinstance(daily, TableOutput)
    assert daily.terms == Terms((tolerance,), ("trips",), 0)
    assert outputs["location_metrics"].terms == Terms()
    assert (daily.legacy, daily.candidate) == (
        '"legacy"."main"."daily_metrics"', '"candidate"."main"."daily_metrics"'
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"reason": None}, r"column 'total_amount': reason is missing"),
        ({"reason": "  "}, r"column 'total_amount': reason is empty"),
        ({"kind": "about"}, r"column 'total_amount': kind must be one of .*absolute"),
        ({"column": None}, r"tolerance #1: column is missing"),
        ({"expires": "soon"}, r"column 'total_amount': expires must be a date"),
        ({"value": "much"}, r"column 'total_amount' has the value 'much'"),
        ({"value": -1}, r"column 'total_amount' has the value .*-1"),
        ({"kind": "ignored"}, r"column 'total_amount' takes no value"),
        ({"colour": "red"}, r"column 'total_amount': colour is not known here"),
        ({"column": "trip_date"}, r"column 'trip_date' is part of the key"),
    ],
    ids=str,
)
def test_a_tolerance_that_cannot_be(
    project: Project, dbt_unit: Declared, change: dict[str, Any], reason: str
) -> None:
    """The load ends with an error that names the unit, the model and the column; each tolerance needs its reason."""
    tolerance = {name: value for name, value in {**GOOD, **change}.items() if value is not None}
    compared = {"name": "daily_metrics", "key": KEY, "tolerances": [tolerance]}
    project.declare("own", dbt_unit(unit="own.wrong", compare=[compared]))

    message = refusal(project)

    assert message.startswith("unit own.wrong: `compare`: comparison daily_metrics: "), message
    assert re.search(reason, message, re.DOTALL), message


@pytest.mark.parametrize(
    ("compared", "reason"),
    [
        ({"tolerances": [GOOD]}, "needs a key"),
        ({"key": KEY, "tolerances": [GOOD, GOOD]}, "is its second one"),
        ({"key": KEY, "samples": -1}, "`samples` of daily_metrics is -1"),
    ],
    ids=["no-key", "twice", "samples"],
)
def test_terms_that_cannot_be(
    project: Project, dbt_unit: Declared, compared: dict[str, Any], reason: str
) -> None:
    """What does not go together is refused when definitions load."""
    project.declare("own", dbt_unit(compare=[{"name": "daily_metrics", **compared}]))

    assert reason in refusal(project)


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ({**FILE, "tolerances": [{**GOOD, "column": "id"}]}, r"`outputs.thing`: .* is part of the key"),
        ({"key": "thing", "tolerances": [GOOD]}, r"`outputs.thing` has tolerances or masks, but no `file`"),
        ({"key": "thing", "masked": ["id"]}, r"`outputs.thing` has tolerances or masks, but no `file`"),
    ],
    ids=["key", "no-file", "masked"],
)
def test_outputs_of_a_function(project: Project, output: dict[str, Any], reason: str) -> None:
    """A file has the same terms; without a file there is nothing that they could apply to."""
    declared = {
        "unit": "own.python", "schedule": NEW_YORK_DAYS, "function": "include.ingest.load_trips", "outputs": [output],
    }  # fmt: skip
    project.declare("own", ("PythonUnit", declared))

    message = refusal(project)

    assert message.startswith("unit own.python: ")
    assert re.search(reason, message), message
