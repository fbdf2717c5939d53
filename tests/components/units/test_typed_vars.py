"""Variables with their types, dbt's options from the environment and a default selector: from a real Airflow's
inventory through the mirror to a real dbt."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dagster_defs.components import DbtUnit
from dagster_defs.lifecycle.agreement import Agreement
from dagster_defs.parity import Side
from tests.support.typed_estate import TypedEstate


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> TypedEstate:
    return TypedEstate.make(tmp_path_factory.mktemp("typed"))


@pytest.fixture(scope="module")
def gaps(estate: TypedEstate) -> list[str]:
    return estate.scaffold()


@pytest.fixture
def by_hand(estate: TypedEstate, tmp_path: Path) -> TypedEstate:
    """The same project and inventory, and no mirror yet."""
    for name in ("dbt", "inventory.json", "pyproject.toml", "data"):
        (tmp_path / name).symlink_to(estate.root / name)
    return TypedEstate(tmp_path)


BOUNDS = {"lo": {"template": "{{ data_interval_start | ds }}", "bound": "lower"},
          "hi": {"template": "{{ data_interval_end | ds }}", "bound": "upper"}}  # fmt: skip


@pytest.mark.parametrize(
    ("dag_id", "variables"),
    [
        pytest.param("typed", {**BOUNDS, "with_tips": False, "cap": None}, id="07-typed-vars, boolean and null"),
        pytest.param("typed_int", {**BOUNDS, "top": 5}, id="07-typed-vars, a number"),
        pytest.param("typed_list", {**BOUNDS, "regions": ["north", "south"]}, id="08-list-var-by-hand"),
        pytest.param("nested", {**BOUNDS, "value": {"days": ["{{ ds }}", 7, None, True, 1.5], "zip": "01234"}},
                     id="a template inside a list inside a mapping"),
        pytest.param("unquoted", {"lo": "{{ ds }}", "value": {"template": "{{ ds }}", "yaml": True}},
                     id="a template without quotes"),
        pytest.param("a_date", {"value": {"template": "2024-02-03", "yaml": True}}, id="a date"),
        pytest.param("looks_like_a_number", {"value": "1e3"}, id="text that looks like a number"),
    ],
)  # fmt: skip
def test_types_stand_in_the_mirror(
    estate: TypedEstate, gaps: list[str], dag_id: str, variables: dict[str, Any]
) -> None:
    """Scaffold writes each value with the type that dbt reads from the DAG's command, and leaves no gap for it."""
    assert not [gap for gap in gaps if gap.startswith(f"{dag_id}.")]
    found = estate.attributes(dag_id)["vars"]
    assert found == variables
    assert json.dumps(found, sort_keys=True) == json.dumps(variables, sort_keys=True)  # False is not 0 here


def test_everything_scaffolded_verifies(
    estate: TypedEstate, gaps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variables of every scaffolded mirror are those that a real Airflow rendered, types and all."""
    facets = estate.facets(monkeypatch)

    assert len(facets) == 15
    assert {dag: found["variables"].agrees for dag, found in facets.items()} == dict.fromkeys(
        facets, Agreement.AGREES
    )


@pytest.mark.parametrize(
    ("dag_id", "model", "variables", "message"),
    [
        ("typed", "flags", {"with_tips": "False", "cap": None}, "with_tips of"),
        ("typed", "flags", {"with_tips": False, "cap": "None"}, "null in Airflow, None in the mirror"),
        ("typed", "flags", {"with_tips": 0, "cap": None}, "False (a boolean) in Airflow, 0 (a whole number)"),
        ("typed_int", "topped", {"top": "5"}, "5 (a whole number) in Airflow, '5' (text) in the mirror"),
        ("typed_int", "topped", {"top": 5.0}, "5.0 (a floating-point number) in the mirror"),
        ("typed_list", "regional", {"regions": "['north', 'south']"}, "(a list) in Airflow"),
        ("typed_list", "regional", {"regions": ["south", "north"]}, "regions of"),
        ("a_date", "kinds", {"value": "2024-02-03"}, "2024-02-03 (a date) in Airflow, '2024-02-03' (text)"),
        (
            "looks_like_a_number",
            "kinds",
            {"value": {"template": "1000.0", "yaml": True}},
            "1000.0 (a floating-point number)",
        ),
    ],
)
def test_a_type_that_differs_is_a_difference(
    by_hand: TypedEstate,
    monkeypatch: pytest.MonkeyPatch,
    dag_id: str,
    model: str,
    variables: dict[str, Any],
    message: str,
) -> None:
    """07-typed-vars: equal as text is not equal; `verify` says both types."""
    bounds = BOUNDS if dag_id.startswith("typed") else {}
    by_hand.write(dag_id, command="run", select=model, vars={**bounds, **variables})

    facet = by_hand.facets(monkeypatch)[dag_id]["variables"]

    assert facet.agrees is Agreement.DIFFERS
    assert message in facet.detail


@pytest.mark.parametrize(
    ("dag_id", "table", "days", "rows"),
    [
        ("typed", "flags", ["2024-01-01"], [("2024-01-01", 0, "no cap")]),
        ("typed_int", "topped", ["2024-01-01"], [("6",)]),
        ("typed_list", "regional", ["2024-01-01"], [("north",), ("south",)]),
        ("nested", "kinds", ["2024-01-02"],
         [('{"days": ["2024-01-02", 7, null, true, 1.5], "zip": "01234"}', "mapping")]),
        ("unquoted", "kinds", ["2024-01-02"], [("2024-01-02", "date")]),
        ("unquoted_number", "kinds", ["2024-01-02"], [("2", "integer")]),
        ("looks_like_a_number", "kinds", ["2024-01-02"], [('"1e3"', "text")]),
        ("typed", "flags", ["2024-01-01", "2024-01-03"], [("2024-01-01", 0, "no cap")]),
    ],
    ids=["07-typed-vars", "07-typed-vars, a number", "08-list-var-by-hand", "nested", "a date", "unquoted number",
         "text that looks like a number", "a range"],
)  # fmt: skip
@pytest.mark.parametrize("side", list(Side))
def test_dbt_gets_the_types(
    estate: TypedEstate,
    gaps: list[str],
    monkeypatch: pytest.MonkeyPatch,
    dag_id: str,
    table: str,
    days: list[str],
    rows: list[tuple[Any, ...]],
    side: Side,
) -> None:
    """A run's model reads what Airflow's would, on either side, without another parse of the project."""
    units = estate.tree(monkeypatch).get_all_components(of_type=DbtUnit)
    unit = next(each for each in units if each.unit == f"{dag_id}.t")
    windows = [unit.partitions.window_of(day) for day in days]
    variables = unit.variables.for_range(windows[0], windows[-1])
    run = unit.workspace(side).run(
        ["run", "--select", table], variables=variables, run_dir=estate.root / "run"
    )

    assert [event["data"]["status"] for event in run.events()] == ["OK"]
    with duckdb.connect(str(estate.root / "data" / f"{side.value}.duckdb"), read_only=True) as connection:
        found = connection.execute(f"select * from {table} order by 1").fetchall()  # noqa: S608 - a table of ours
    assert [tuple(map(str, row)) for row in found] == [tuple(map(str, row)) for row in rows]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"top": "5"}, r"unit typed_int\.t: dbt cannot parse the project with its variables \(top\).*--vars 'top: '"),
        ({"top": {"template": "{{ ds }}", "bounds": "lower"}}, "variable top has bounds, template"),
        ({"top": {"template": "{{ ds }}", "bound": "middle"}}, "variable top has `bound: middle`"),
        ({"top": {"template": ["{{ ds }}"], "yaml": True}}, "top has `yaml: true`, but its value is not a text"),
        ({"top": ["{{ dag_run.conf }}"]}, "needs dag_run.conf.*the variable top"),
        ({"top": {"of": [{"{{ ds }}": 1}]}}, "variable top has the template '{{ ds }}' as a key inside it"),
        ({"top": {"template": "[1, {{ ds }}", "yaml": True}}, "variable top .* is not YAML that dbt can read"),
        ({"top": {"template": "[1]", "yaml": True, "bound": "lower"}}, "variable top .* not an end of the window"),
    ],
    ids=["07-typed-vars, dbt's parse", "a typo", "a bound", "not a text", "Airflow's alone", "a name", "no YAML",
         "a list as bound"],
)  # fmt: skip
def test_a_value_that_cannot_be_carried_names_unit_and_variable(
    by_hand: TypedEstate,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    variables: dict[str, Any],
    message: str,
) -> None:
    """What dbt could not read, or Airflow alone knows, breaks its unit when definitions load, by unit and variable;
    another unit of the project loads."""
    by_hand.write("typed_int", command="run", select="topped", vars=variables)
    by_hand.write("typed_list", command="run", select="regional", vars={"regions": ["north"]})

    definitions = by_hand.tree(monkeypatch).build_defs()

    [reason] = [record.getMessage() for record in caplog.records if "typed_int.t" in record.getMessage()]
    assert re.search(message, reason, re.DOTALL), reason
    assert definitions.resolve_job_def("typed_list__t")


def test_a_default_selector_is_the_selection(
    estate: TypedEstate, gaps: list[str], by_hand: TypedEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """09-default-selector: it is written out by scaffold, and counts in a mirror that says nothing; with --exclude
    alone dbt does not use it."""
    assert estate.attributes("usual")["selector"] == "usual"
    assert estate.attributes("usual_exclude") | {"schedule": 0} == {
        "unit": "usual_exclude.t", "schedule": 0, "command": "build", "exclude": "heavy"
    }  # fmt: skip
    by_hand.write("usual", command="build")
    by_hand.write("usual_exclude", command="build", exclude="heavy")

    facets = by_hand.facets(monkeypatch)

    assert [facets[dag]["selection"].mirror for dag in ("usual", "usual_exclude")] == [
        "dbt build, 3 nodes", "dbt build, 7 nodes"
    ]  # fmt: skip
    assert {found["selection"].agrees for found in facets.values()} == {Agreement.AGREES}


@pytest.mark.parametrize(
    ("dag_id", "legacy"),
    [
        pytest.param("indirect", "dbt build, 2 nodes", id="on the command line"),
        pytest.param("indirect_env", "dbt build, 2 nodes", id="15-dbt-options-from-environment"),
        pytest.param("indirect_engine_env", "dbt build, 2 nodes", id="by the engine's name"),
        pytest.param("no_tests_env", "dbt build, 1 nodes", id="several words"),
    ],
)
@pytest.mark.parametrize("own", [None, "cautious", "empty"])
def test_an_option_from_the_environment_counts(
    by_hand: TypedEstate, monkeypatch: pytest.MonkeyPatch, dag_id: str, legacy: str, own: str | None
) -> None:
    """Airflow's side has the nodes that dbt picks with the task's environment, whatever is in Dagster's own."""
    if own:
        monkeypatch.setenv("DBT_INDIRECT_SELECTION", own)
    by_hand.write(dag_id, command="build", select="nightly")

    facet = by_hand.facets(monkeypatch)[dag_id]["selection"]

    assert facet.legacy == legacy
    mine = {None: 3, "cautious": 2, "empty": 1}[own]
    assert facet.mirror == f"dbt build, {mine} nodes"
    assert facet.agrees is (Agreement.AGREES if facet.legacy == facet.mirror else Agreement.DIFFERS)


def test_the_environment_is_a_facet(by_hand: TypedEstate, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the task sets and Dagster does not is undetermined, secrets masked; the same values agree."""
    by_hand.write("region", command="build", select="nightly")

    facet = by_hand.facets(monkeypatch)["region"]["environment"]
    assert facet.agrees is Agreement.UNDETERMINED
    assert (facet.legacy, facet.mirror) == ("API_TOKEN=***, REGION=eu", "none")
    assert "the task sets API_TOKEN, REGION, and the mirror does not" in facet.detail
    assert "hunter2" not in json.dumps(facet.as_json())

    monkeypatch.setenv("REGION", "us")
    monkeypatch.setenv("API_TOKEN", "hunter2-hunter2")
    facet = by_hand.facets(monkeypatch)["region"]["environment"]
    assert (facet.agrees, facet.mirror) == (Agreement.UNDETERMINED, "API_TOKEN=***, REGION=us")
    assert "REGION has a different value in the task" in facet.detail

    assert "the task's value of API_TOKEN is not in the inventory" in facet.detail  # Airflow masks it

    monkeypatch.setenv("REGION", "eu")
    facet = by_hand.facets(monkeypatch)["region"]["environment"]
    assert (facet.agrees, "REGION" in facet.detail) == (Agreement.UNDETERMINED, False)
