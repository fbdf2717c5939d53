"""`dg scaffold defs`: YAML that is right as soon as its names are."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.support.estate import Estate, copy_project

DBT_UNIT = ("--unit", "taxi_extra.dbt_extra", "--cron", "0 7 * * *", "--timezone", "America/New_York",
            "--start", "2024-01-01", "--max-active-runs", "1", "--select", "tag:zones")  # fmt: skip
PYTHON_UNIT = ("--unit", "taxi_extra.load_extra", "--function", "include.ingest.load_zones", "--key", "extra")


@pytest.fixture(scope="module")
def scaffolded(estate: Estate, tmp_path_factory: pytest.TempPathFactory) -> Estate:
    """A copy of the project in which each component type was scaffolded once."""
    own = Estate(copy_project(tmp_path_factory.mktemp("scaffolded")), estate.instance)
    for kind, folder, parameters in (
        ("DbtUnit", "extra_dbt", DBT_UNIT),
        ("PythonUnit", "extra_python", PYTHON_UNIT),
        ("AirflowEstate", "extra_airflow", ()),
    ):
        done = own.program("dg", "scaffold", "defs", f"dagster_defs.components.{kind}", folder, *parameters)
        assert done.returncode == 0, done.stdout + done.stderr
    return own


def attributes(estate: Estate, folder: str) -> dict[str, object]:
    text = Path(estate.root, "dagster_defs", "defs", folder, "defs.yaml").read_text()
    declared: dict[str, object] = yaml.safe_load(text)["attributes"]
    return declared


def test_what_was_asked_for_is_in_the_yaml(scaffolded: Estate) -> None:
    """The scaffolded YAML carries the parameters, and a window as most legacy commands have it."""
    dbt, python = attributes(scaffolded, "extra_dbt"), attributes(scaffolded, "extra_python")

    assert dbt["schedule"] == {
        "cron": "0 7 * * *", "timezone": "America/New_York", "start": "2024-01-01",
        "catchup": True, "max_active_runs": 1,
    }  # fmt: skip
    assert (dbt["unit"], dbt["select"]) == ("taxi_extra.dbt_extra", "tag:zones")
    assert dbt["vars"] == {
        "min_date": {"template": "{{ data_interval_start | ds }}", "bound": "lower"},
        "max_date": {"template": "{{ data_interval_end | ds }}", "bound": "upper"},
    }
    assert (python["function"], python["outputs"]) == ("include.ingest.load_zones", [{"key": "extra"}])


def test_scaffolded_yaml_is_accepted_as_it_is(scaffolded: Estate) -> None:
    """`dg check yaml` accepts what `dg scaffold defs` wrote, for each component type."""
    done = scaffolded.program("dg", "check", "yaml")

    assert done.returncode == 0, done.stdout + done.stderr


def test_scaffolded_units_are_mirrors(scaffolded: Estate) -> None:
    """The new units are there in `parity status`, without another file being touched."""
    done = scaffolded.parity("status", "--json")

    assert done.returncode == 0, done.stderr
    assert '"taxi_extra.dbt_extra"' in done.stdout
    assert '"taxi_extra.load_extra"' in done.stdout


@pytest.mark.parametrize(
    ("command", "folder", "word"), [("yaml", "airflow", "poll_seconds"), ("defs", "taxi_daily", "select")]
)
def test_yaml_with_an_unknown_word_is_refused(
    scaffolded: Estate, tmp_path: Path, command: str, folder: str, word: str
) -> None:
    """An attribute that no component type has ends `dg check` with 1; it names the file and the word.

    Of several documents of one type `dg check yaml` looks at the last alone; `dg check defs` sees all of them.
    """
    own = Estate(copy_project(tmp_path), scaffolded.instance)
    path = own.root / "dagster_defs" / "defs" / folder / "defs.yaml"
    path.write_text(path.read_text().replace(f"{word}:", f"{word}x:", 1))

    done = own.program("dg", "check", command)

    assert done.returncode == 1
    assert f"{folder}/defs.yaml" in done.stdout + done.stderr
    assert f"{word}x" in done.stdout + done.stderr
