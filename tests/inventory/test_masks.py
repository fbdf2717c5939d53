"""What the exporter has masked is not known: no facet that it can reach agrees, whatever the mirror says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from dagster_defs.adapters.dagster.partitions import partitioned
from dagster_defs.inventory import Kind, describe, read_document
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.facets import Agreement, Facet, LegacyUnit, MirroredUnit, facets_of
from dagster_defs.lifecycle.mirrors import Declared
from dagster_defs.windows import Moment, Schedule, Window
from tests.support import inventory_samples as samples

S = "***"
NODE = "model.shop.orders"
VARS = '"day": "{{ ds }}"'


@dataclass(frozen=True)
class Given:
    """The variables of a mirror, the same in every window but for the day."""

    more: dict[str, Any]

    def for_window(self, window: Moment) -> dict[str, Any]:
        assert isinstance(window, Window)
        return {"day": window.start.to_date_string(), **self.more}


def described(fields: dict[str, Any], **more: Any) -> tuple[Any, Any, Any]:
    """The DAG, its task and the reading of the task, with the fields rendered for two days."""
    [window, other] = samples.windows_of("0 0 * * *", "UTC", samples.DAYS[:2])
    rendered = [
        {
            "start": each.start.isoformat(),
            "end": each.end.isoformat(),
            "fields": {name: _rendered(value, each) for name, value in fields.items()},
        }
        for each in (window, other)
    ]
    found = read_document(samples.document(samples.task(fields, samples=rendered, **more)), "inventory.json")
    [reading] = describe(found, samples.FakeProject()).units
    return found.dags[0], found.dags[0].tasks[0], reading


def _rendered(value: Any, window: Window) -> Any:
    if isinstance(value, dict):
        return {name: _rendered(item, window) for name, item in value.items()}
    return value.replace("{{ ds }}", window.start.to_date_string())


def facets(
    fields: dict[str, Any], mirror: dict[str, Any], own: dict[str, str], **more: Any
) -> dict[str, Facet]:
    dag, task, reading = described(fields, **more)
    unit = Unit(task.dag_id, task.task_id)
    python = "python_callable" in fields or more.get("source") is not None
    declared = Declared(
        task.callable_name if python else "run", None if python else frozenset({NODE}), Given(mirror), None,
        frozenset(), frozenset(), 0, 0, None,
    )  # fmt: skip
    partitions = partitioned(Schedule.of("0 0 * * *", "UTC", "2023-01-01"))
    legacy = LegacyUnit(dag, task, None if python else reading, ("", ""))
    found = facets_of(legacy, MirroredUnit(unit, partitions, declared, frozenset(), frozenset({unit}), own))
    return {facet.name: facet for facet in found}


RUN = f"dbt run -s orders --vars '{{{VARS}}}'"


def run_with(more: str) -> dict[str, Any]:
    return {"bash_command": f"dbt run -s orders --vars '{{{VARS}, {more}}}'"}


def test_without_a_mask_all_agrees() -> None:
    """The unit of this table agrees where nothing is masked: what the cases below say is the masks' doing."""
    differing = facets({"bash_command": RUN, "env": {"REGION": "eu"}}, {}, {"REGION": "eu"})

    assert {differing[name].agrees for name in ("variables", "selection", "environment")} == {
        Agreement.AGREES
    }


@pytest.mark.parametrize(
    ("fields", "mirror", "unknown"),
    [
        pytest.param(run_with('"t": "***"'), {"t": S}, "variables", id="the mirror says the mask itself"),
        pytest.param(run_with('"t": "***"'), {"t": "guess"}, "variables", id="the mirror says something"),
        pytest.param(run_with('"t": "a***b"'), {"t": "a***b"}, "variables", id="a part of a value"),
        pytest.param(run_with('"t": ***'), {"t": S}, "variables", id="without quotes"),
        pytest.param(run_with('"t": {"a": ["x", "***"]}'), {"t": {"a": ["x", S]}}, "variables", id="deep inside"),
        pytest.param(run_with('"***": 1'), {S: 1}, "variables", id="a name"),
        pytest.param(run_with('"***": 1'), {"t": 1}, "variables", id="a name that may be the mirror's"),
        pytest.param({"bash_command": "dbt run -s orders --vars '***'"}, {}, "variables", id="all variables"),
        pytest.param({"bash_command": f"{RUN} --event-time-start *** --event-time-end x"}, {}, "variables",
                     id="event time"),
        pytest.param({"bash_command": RUN.replace("orders", "tag:***_daily")}, {}, "selection",
                     id="estate-masked_env, the selection"),
        pytest.param({"bash_command": f"{RUN} --exclude ***"}, {}, "selection", id="exclude"),
        pytest.param({"bash_command": RUN.replace("-s orders", "--selector ***")}, {}, "selection", id="selector"),
        pytest.param({"bash_command": f"{RUN} --target ***"}, {}, "selection", id="estate-masked_env, the target"),
        pytest.param({"bash_command": RUN, "env": {"DBT_TARGET": S}}, {}, "selection", id="target, environment"),
        pytest.param({"bash_command": RUN, "env": {"DBT_EMPTY": S}}, {}, "selection", id="a flag, environment"),
        pytest.param({"bash_command": RUN, "env": {"DBT_INDIRECT_SELECTION": S}}, {}, "selection",
                     id="an option, environment"),
        pytest.param({"bash_command": RUN, "env": {"REGION": S}}, {}, "environment", id="environment"),
        pytest.param({"bash_command": RUN, "env": {"REGION": f"x{S}"}}, {}, "environment", id="a part of it"),
        pytest.param({"bash_command": RUN, "env": {f"A{S}": "1"}}, {}, "environment", id="the name of a variable"),
        pytest.param({"bash_command": f"REGION=*** {RUN}"}, {}, "environment", id="environment, in the shell"),
    ],
)  # fmt: skip
def test_what_is_masked_is_undetermined(fields: dict[str, Any], mirror: dict[str, Any], unknown: str) -> None:
    """The facet that a masked value reaches is undetermined, even where the mirror has the very text of the mask."""
    own = {"REGION": fields.get("env", {}).get("REGION", S), f"A{S}": "1"}

    assert facets(fields, mirror, own)[unknown].agrees is Agreement.UNDETERMINED


@pytest.mark.parametrize("command", ["***", "*** run -s orders", "bash ***", "sh -e /opt/***", "python ***.py",
                                     "dbt *** -s orders", "bash -c '***'"])  # fmt: skip
def test_a_masked_command_may_run_anything(command: str) -> None:
    """A command whose program is masked is opaque, never known to run no dbt; and nothing of it agrees."""
    fields = {"bash_command": command}

    assert described(fields)[2].kind is Kind.OPAQUE
    differing = facets(fields, {}, {})
    assert {differing[name].agrees for name in ("variables", "selection", "environment")} == {
        Agreement.UNDETERMINED
    }


@pytest.mark.parametrize("command", ["psql -p ***", "curl -H ***", "echo ***"])
def test_a_masked_word_of_another_program_hides_nothing(command: str) -> None:
    """A password given to a program that is known does not make the task opaque."""
    assert described({"bash_command": command})[2].kind is Kind.NON_DBT


def test_a_difference_beside_a_mask_is_one() -> None:
    """What is known to differ is told, whatever else is masked; a variable that only Airflow sets is missing."""
    fields = run_with('"t": "***", "n": 1')

    assert facets(fields, {"t": S, "n": 2}, {})["variables"].agrees is Agreement.DIFFERS
    assert facets(fields, {"n": 1}, {})["variables"].agrees is Agreement.DIFFERS


def test_a_mask_that_was_never_rendered() -> None:
    """Where Airflow has rendered no window, the mask stands in the command as it was written."""
    fields = {"bash_command": "dbt run -s 'tag:***'"}
    content = samples.document(samples.task(fields))

    [reading] = describe(read_document(content, "inventory.json"), samples.FakeProject()).units
    assert not reading.selection_determined


def test_a_masked_argument_of_a_function() -> None:
    """The arguments of a python task are variables, too."""
    fields = {"op_kwargs": {"day": "{{ ds }}", "token": S}}
    more = {"operator": samples.PYTHON, "source": "def task(day, token):\n    print(day)\n"}

    assert facets(fields, {"token": S}, {}, **more)["variables"].agrees is Agreement.UNDETERMINED
