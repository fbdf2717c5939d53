"""`parity prepare --manifest`: a manifest that dbt has made elsewhere is taken as far as it is of these files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from dagster_defs.lifecycle import Stage, Unit
from tests.support.estate import foreign_environment
from tests.support.owned import bring_to

PROGRAMS = Path(sys.executable).parent
FILES = {
    "dbt_project.yml": "name: farm\nprofile: farm\nflags: {send_anonymous_usage_stats: false}\n",
    "seeds/barns.csv": "barn,cows\nnorth,12\nsouth,7\n",
    "models/milk.sql": "{{ config(materialized='table') }} select barn, cows * 20 as litres from {{ ref('barns') }}",
    "models/cheese.sql": "select sum(litres) / 10 as kilos from {{ ref('milk') }}",
    "models/properties.yml": "models: [{name: milk, columns: [{name: barn, data_tests: [unique]}]}]",
}
PROFILE = """
farm:
  target: legacy
  outputs:
    legacy: {{type: duckdb, path: {data}/{file}.duckdb}}
    candidate: {{type: duckdb, path: {data}/candidate.duckdb}}
"""
SCHEDULE = {"cron": "@daily", "start": "2024-03-01"}
DAY = '{"dagster/partition": "2024-03-09"}'
NOWHERE: Mapping[str, str] = {}
LEGACY, CANDIDATE = "legacy", "candidate"


@dataclass
class Farm:
    """A Dagster project with one dbt project, and a copy of that where dbt has parsed it for each target."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "farm"

    @property
    def dbt(self) -> Path:
        return self.root / "dbt"

    def make(self, **more: Any) -> None:
        """`more`: attributes of the unit."""
        self.root.mkdir()
        assert self.parity("init").returncode == 0
        for name, text in {**FILES, "profiles.yml": PROFILE.format(data=self.folder, file=LEGACY)}.items():
            self.write(name, text)
        unit = {"unit": "farm.dbt", "project": "dbt", "schedule": SCHEDULE, **more}
        file = self.root / "farm" / "defs" / "farm" / "defs.yaml"
        file.parent.mkdir()
        file.write_text(yaml.safe_dump({"type": "dagster_defs.components.DbtUnit", "attributes": unit}))

    def write(self, name: str, text: str) -> None:
        path = self.dbt / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def built(self, target: str, *options: str, by: str = "elsewhere") -> Path:
        """dbt parses a copy of the project, as the CI of its team does; the folder in which it leaves the result."""
        copy, result = self.folder / by / "checkout", self.folder / by / target
        shutil.copytree(self.dbt, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns("target", "logs"))
        words = ["parse", *(["--target", target] if target else []), "--target-path", str(result), *options]
        self.run([PROGRAMS / "dbt", *words], copy)
        return result

    def run_day(self) -> None:
        """As the windows of a retired DAG run, in an instance of its own."""
        home, marks = self.folder / "home", self.folder / "marks"
        home.mkdir()
        (home / "dagster.yaml").touch()
        bring_to(marks, Unit("farm", "dbt"), Stage.RETIRED)
        words = ["job", "execute", "-m", "farm.definitions", "-j", "farm__dbt", "--tags", DAY]
        places = {"DAGSTER_HOME": str(home), "PARITY_PROXIED_STATE": str(marks)}
        self.run([PROGRAMS / "dagster", *words], self.root, places)

    def run(self, command: list[Any], cwd: Path, places: Mapping[str, str] = NOWHERE) -> None:
        done = subprocess.run(
            command, cwd=cwd, env={**foreign_environment(), **places},
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def parity(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAMS / "parity", *arguments],
            cwd=self.root, env=foreign_environment(), capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    def prepared(self, *manifests: Path) -> Mapping[str, Any]:
        """What is told of each target, by its name."""
        named = [word for manifest in manifests for word in ("--manifest", manifest)]
        done = self.parity("prepare", "--json", *named)
        assert done.returncode == 0, done.stderr
        return {each["target"]: each for each in json.loads(done.stdout)["targets"]}


@pytest.fixture
def farm(tmp_path: Path) -> Farm:
    made = Farm(tmp_path)
    made.make()
    return made


def test_nothing_is_parsed_again_and_runs_work_on_it(farm: Farm) -> None:
    """Each target begins with the manifest that is its own, whatever the order; a run writes what the models say."""
    legacy, candidate = farm.built(LEGACY), farm.built(CANDIDATE)

    told = farm.prepared(candidate, legacy)

    assert {target: (each["parsed"], each["built"]) for target, each in told.items()} == {
        LEGACY: (0, str(legacy)),
        CANDIDATE: (0, str(candidate)),
    }
    assert told[LEGACY]["nodes"] == 4
    farm.run_day()
    with duckdb.connect(str(farm.folder / f"{LEGACY}.duckdb"), read_only=True) as database:
        assert database.execute("select kilos from cheese").fetchall() == [(38.0,)]
    text = farm.parity("prepare", "--manifest", legacy).stdout
    assert f"nothing after {legacy}" in " ".join(text.split())


def test_an_executable_begins_with_it_too(tmp_path: Path) -> None:
    """Its dbt does not say how much it has parsed. Nodes have the time at which they were parsed."""
    farm = Farm(tmp_path)
    farm.make(dbt={"executable": str(PROGRAMS / "dbt")})
    legacy = farm.built(LEGACY)

    told = farm.prepared(legacy)

    assert {target: (each["parsed"], each["built"]) for target, each in told.items()} == {
        LEGACY: (None, str(legacy)),
        CANDIDATE: (None, None),
    }
    times = [
        {
            name: node["created_at"]
            for name, node in json.loads((folder / "manifest.json").read_text())["nodes"].items()
        }
        for folder in (legacy, *(farm.root / told[target]["folder"] for target in (LEGACY, CANDIDATE)))
    ]
    assert times[0] == times[1]
    assert times[0] != times[2]


def test_what_differs_is_parsed(farm: Farm) -> None:
    """A model that was changed, one that is new: dbt parses these files alone. Another profile: everything."""
    legacy, candidate = farm.built(LEGACY), farm.built(CANDIDATE)
    farm.write("models/cheese.sql", "select sum(litres) / 8 as kilos from {{ ref('milk') }}")
    farm.write("models/butter.sql", "select sum(litres) / 20 as kilos from {{ ref('milk') }}")
    farm.write("profiles.yml", PROFILE.format(data=farm.folder, file="moved"))

    told = farm.prepared(legacy, candidate)

    assert {target: each["parsed"] for target, each in told.items()} == {LEGACY: "all", CANDIDATE: 2}
    for each in told.values():
        manifest = json.loads((farm.root / each["folder"] / "manifest.json").read_text())
        assert "/ 8 as" in manifest["nodes"]["model.farm.cheese"]["raw_code"]
        assert "model.farm.butter" in manifest["nodes"]


def test_what_dbt_has_left_in_the_project_is_taken(farm: Farm) -> None:
    """The project's own target folder, in which dbt and dagster-dbt leave what they have parsed."""
    shutil.copytree(farm.built(CANDIDATE), farm.dbt / "target")

    told = farm.prepared()

    assert {target: each["parsed"] for target, each in told.items()} == {LEGACY: "all", CANDIDATE: 0}
    assert {target: each["parsed"] for target, each in farm.prepared().items()} == {LEGACY: 0, CANDIDATE: 0}


def test_what_is_of_no_target_here_is_said(farm: Farm) -> None:
    """Parsed for a target that was not named, or with other variables: nothing of it is used, and that is an error."""
    unnamed = farm.built("")
    with_vars = farm.built(LEGACY, "--vars", "{cows: 3}", by="with-vars")

    done = farm.parity("prepare", "--manifest", unnamed, "--manifest", with_vars)

    assert done.returncode == 1
    said = " ".join(done.stderr.split())
    for folder in (unnamed, with_vars):
        assert f"not used: {folder} has a manifest of no target here" in said
    assert "everything" in done.stdout


@pytest.mark.parametrize(
    ("lost", "said"), [("partial_parse.msgpack", "it has a manifest.json, but no "), ("", "it has no ")]
)
def test_a_manifest_alone_is_refused(farm: Farm, lost: str, said: str) -> None:
    """dbt itself could not tell whether it is of these files; the message says which files to keep."""
    built = farm.built(LEGACY)
    if lost:
        (built / lost).unlink()
    else:
        shutil.rmtree(built)

    done = farm.parity("prepare", "--manifest", built)

    assert (done.returncode, done.stdout) == (1, "")
    assert f"{said}partial_parse.msgpack" in " ".join(done.stderr.split())
    assert "dbt parse --target <target> --target-path <folder>" in " ".join(done.stderr.split())


def test_a_parse_that_was_cut_off_is_not_used(farm: Farm) -> None:
    """Nothing tells that it is of a target here; the project is prepared without it."""
    built = farm.built(LEGACY)
    file = built / "partial_parse.msgpack"
    file.write_bytes(file.read_bytes()[:-1000])

    done = farm.parity("prepare", "--json", "--manifest", built)

    told = json.loads(done.stdout)
    assert (done.returncode, told["unused"]) == (1, [str(built)])
    assert [(each["parsed"], each["built"], each["nodes"]) for each in told["targets"]] == [
        ("all", None, 4)
    ] * 2
