"""What a mirror runs beside dbt is said to whoever cuts it over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.lifecycle.programs_beside import ProgramBeside, once_cut_over
from tests.support.estate import Estate, copy_project
from tests.support.night import ZONES
from tests.support.owned import bring_to

AWS, DU, CURL = (
    ProgramBeside("aws", "before", shadow=False),
    ProgramBeside("du", "before", shadow=True),
    ProgramBeside("curl", "after", shadow=False),
)
SAID = "once cut over, Dagster also runs `aws` before dbt, `du` before dbt, `curl` after dbt; not run in shadow: "


@pytest.mark.parametrize(
    ("programs", "said"),
    [
        ((), ""),
        ((DU,), "once cut over, Dagster also runs `du` before dbt; candidates run that too"),
        ((AWS, DU, CURL), f"{SAID}`aws` before dbt, `curl` after dbt"),
    ],
)
def test_what_no_candidate_has_run_is_named(programs: tuple[ProgramBeside, ...], said: str) -> None:
    """All of them, and then those that evidence says nothing about; nothing is said of a unit without any."""
    assert once_cut_over(programs) == said


@pytest.fixture(scope="module")
def own(estate: Estate, tmp_path_factory: pytest.TempPathFactory) -> Estate:
    """The taxi project, in which a shadowed unit runs programs beside dbt."""
    root = copy_project(tmp_path_factory.mktemp("beside") / "project")
    for file in sorted((root / "dagster_defs" / "defs").rglob("defs.yaml")):
        documents: list[dict[str, Any]] = list(yaml.safe_load_all(file.read_text()))
        for document in documents:
            if document["attributes"].get("unit") == ZONES:
                reading = {"run": ["du", "."], "shadow": True}
                document["attributes"] |= {
                    "before": [["aws", "s3", "ls"], reading],
                    "after": [["curl", "--version"]],
                }
        file.write_text(yaml.safe_dump_all(documents, sort_keys=False))
    project = Estate(root, estate.instance)
    bring_to(Path(project.settings["PARITY_PROXIED_STATE"]), Unit.parse(ZONES), Stage.SHADOWED)
    return project


def test_status_names_them(own: Estate) -> None:
    """In words for the unit whose next move is a cutover, and in JSON for each unit that has some."""
    assert f"{ZONES}, beside dbt: {SAID}`aws` before dbt, `curl` after dbt\n" in own.parity("status").stdout
    units = json.loads(own.parity("status", "--json").stdout)["units"]
    found = {unit["unit"]: unit["beside"] for unit in units if "beside" in unit}
    assert found == {ZONES: [AWS.as_json(), DU.as_json(), CURL.as_json()]}


def test_a_cutover_names_them(own: Estate) -> None:
    """Beside its gates, before anything is done; a rollback does not."""
    url = {"DAGSTER_URL": "http://127.0.0.1:9", "AIRFLOW_URL": "http://127.0.0.1:9"}
    done = own.parity("cutover", ZONES, **url)
    assert f"  beside dbt: {SAID}`aws` before dbt, `curl` after dbt\n" in done.stdout
    [unit] = json.loads(own.parity("cutover", ZONES, "--json", **url).stdout)["units"]
    assert [each["program"] for each in unit["beside"]] == ["aws", "du", "curl"]
    assert "beside" not in own.parity("rollback", ZONES, "--json", **url).stdout
