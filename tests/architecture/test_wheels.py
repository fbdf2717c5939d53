"""What a team installs: two wheels of one version, with the product and nothing of this repository's own estate."""

from __future__ import annotations

import configparser
import re
import subprocess
from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.specifiers import SpecifierSet

from dagster_defs.errors.project import EXTRAS
from tests.support.estate import ROOT

VERSION = (ROOT / "legacy_dags" / "handover" / "VERSION").read_text().strip()


class Wheel:
    def __init__(self, path: Path) -> None:
        with ZipFile(path) as archive:
            self.files = {name for name in archive.namelist() if ".dist-info/" not in name}
            [info] = {name.split("/")[0] for name in archive.namelist()} - {
                name.split("/")[0] for name in self.files
            }
            self.metadata: Message = Parser().parsestr(archive.read(f"{info}/METADATA").decode())
            self.entry_points = configparser.ConfigParser()
            self.entry_points.optionxform = str  # type: ignore[assignment,method-assign]  # as its documentation says
            self.entry_points.read_string(archive.read(f"{info}/entry_points.txt").decode())


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Wheel, Wheel]:
    """Dagster's and Airflow's, as `make dist` builds them."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(["make", "dist", f"DIST={folder}"], cwd=ROOT, check=True, capture_output=True, timeout=600)
    [dagsters] = folder.glob("airflow_parity-*.whl")
    [airflows] = folder.glob("airflow_parity_handover-*.whl")
    return Wheel(dagsters), Wheel(airflows)


def modules(folder: Path) -> set[str]:
    return {str(path.relative_to(folder.parent)) for path in folder.rglob("*.py")}


def test_dagsters_wheel_has_the_product_alone(wheels: tuple[Wheel, Wheel]) -> None:
    """Every module and template of the package, without the taxi estate and its entry point."""
    package = ROOT / "dagster_defs"
    own = modules(package) - modules(package / "defs") - {"dagster_defs/definitions.py"}
    data = {"dagster_defs/py.typed", "dagster_defs/render/html/report.html.jinja"}
    assert wheels[0].files == own | data


def test_airflows_wheel_has_the_handover_alone(wheels: tuple[Wheel, Wheel]) -> None:
    """No DAG, no mark and no business code."""
    assert wheels[1].files == modules(ROOT / "legacy_dags" / "handover") | {
        "handover/VERSION",
        "handover/py.typed",
    }


def test_both_have_one_version(wheels: tuple[Wheel, Wheel]) -> None:
    """The one in the file that travels with the hand-over."""
    assert {wheel.metadata["Version"] for wheel in wheels} == {VERSION}


def test_dg_finds_the_component_types(wheels: tuple[Wheel, Wheel]) -> None:
    """By the entry point that `dg` looks for; the commands and Airflow's plugin are there too."""
    dagsters, airflows = (wheel.entry_points for wheel in wheels)
    assert dict(dagsters["dagster_dg_cli.registry_modules"]) == {"airflow_parity": "dagster_defs.components"}
    assert dict(dagsters["console_scripts"]) == {"parity": "dagster_defs.cli:main"}
    assert dict(airflows["console_scripts"]) == {"airflow-inventory": "handover.inventory:main"}
    assert dict(airflows["airflow.plugins"]) == {"airflow_parity": "handover.plugin:ParityPlugin"}


@pytest.mark.parametrize(
    ("which", "too_old", "oldest"),
    [(0, "3.9.18", "3.10.0"), (1, "3.7.16", "3.8.0")],
    ids=["dagster", "airflow"],
)
def test_a_python_that_is_too_old_is_refused_by_the_installer(
    wheels: tuple[Wheel, Wheel], which: int, too_old: str, oldest: str
) -> None:
    """Before anything is installed: `requires a different Python: 3.9.18 not in '<3.14,>=3.10'`."""
    allowed = SpecifierSet(str(wheels[which].metadata["Requires-Python"]))
    assert [too_old in allowed, oldest in allowed] == [False, True]


def test_airflows_wheel_brings_neither_airflow_nor_dagster(wheels: tuple[Wheel, Wheel]) -> None:
    """The environment has its own Airflow, which an installation must not replace, and no Dagster."""
    assert wheels[1].metadata.get_all("Requires-Dist") == [
        'dagster-airlift[in-airflow]<0.30,>=0.29; python_version >= "3.10"'
    ]


def test_the_base_brings_no_warehouse(wheels: tuple[Wheel, Wheel]) -> None:
    """Each is an extra, with dbt's adapter for it."""
    needs = wheels[0].metadata.get_all("Requires-Dist") or []
    base = {re.split(r"[^\w-]", need)[0] for need in needs if "extra ==" not in need}
    assert base & {"dbt-duckdb", "duckdb", "dbt-snowflake", "dbt-postgres", "dagster-webserver"} == set()
    for extra in EXTRAS:
        assert any(need.startswith(f"dbt-{extra}") and f'extra == "{extra}"' in need for need in needs), extra
