"""`parity prepare`: what runs need is made ahead, from a git repository too, and serves a read-only file system."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from dagster_defs.lifecycle import Stage, Unit
from tests.support.estate import foreign_environment
from tests.support.owned import bring_to

CLONE, TOKEN = ".parity/dbt/shop", "only-for-github"
MODELS = {
    "dbt_project.yml": "name: shop\nprofile: shop\nflags: {send_anonymous_usage_stats: false}\n",
    "models/orders.sql": "{{ config(materialized='table') }} select 1 as id, '{{ var(\"day\", \"\") }}' as day",
    "models/totals.sql": "select count(*) as n from {{ ref('orders') }}",
}
PROFILE = """
shop:
  target: legacy
  outputs:
    legacy: {{type: duckdb, path: {data}/legacy.duckdb, schema: "{{{{ env_var('SHOP_SCHEMA', 'main') }}}}"}}
    candidate: {{type: duckdb, path: {data}/candidate.duckdb}}
"""
COMMIT = ("-c", "user.name=ada", "-c", "user.email=ada@example.com", "commit", "--quiet", "-m")
READ_ONLY = """
set -e
mount --bind "{root}" "{root}"
mount -o remount,bind,ro "{root}"
cd "{root}"
! touch written 2>/dev/null
export DAGSTER_HOME="{writable}/home" PARITY_DBT_TARGET_DIR="{writable}/targets"
export PARITY_PROXIED_STATE="{writable}/state"
exec {program} job execute -m shop.definitions -j shop__orders --tags '{{"dagster/partition": "2024-03-09"}}'
"""


@dataclass
class Shop:
    """A project of a team's own, and the git repository of its dbt project."""

    root: Path
    repository: Path
    data: Path

    @classmethod
    def make(cls, folder: Path) -> Shop:
        shop = cls(folder / "shop", folder / "repository", folder / "data")
        shop.data.mkdir()
        shop.root.mkdir()
        shop.commit({**MODELS, "profiles.yml": PROFILE.format(data=shop.data)})
        assert shop.parity("init").returncode == 0
        schedule = {"cron": "@daily", "start": "2024-03-01"}
        common = {"project": f"{CLONE}/dbt", "schedule": schedule}
        units: list[Mapping[str, Any]] = [
            {"unit": "shop.orders", "select": "orders", "vars": {"day": "{{ ds }}"}, **common},
            {"unit": "shop.totals", "select": "totals", **common},
        ]
        documents = [{"type": "dagster_defs.components.DbtUnit", "attributes": unit} for unit in units]
        file = shop.root / "shop" / "defs" / "shop" / "defs.yaml"
        file.parent.mkdir()
        file.write_text("---\n".join(map(yaml.safe_dump, documents)))
        repository = {"repo_url": shop.address, "repo_relative_path": "dbt"}
        (shop.root / "parity.yaml").write_text(yaml.safe_dump({"dbt_repositories": {CLONE: repository}}))
        return shop

    @property
    def address(self) -> str:
        return self.repository.as_uri()

    @property
    def clone(self) -> Path:
        return self.root / CLONE

    def commit(self, files: Mapping[str, str]) -> str:
        for name, text in files.items():
            path = self.repository / "dbt" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        if not (self.repository / ".git").exists():
            self.git("init", "--quiet")
        self.git("add", "--all")
        self.git(*COMMIT, "shop")
        return self.git("rev-parse", "HEAD")

    def git(self, *arguments: str, at: Path | None = None) -> str:
        done = subprocess.run(
            ["git", "-C", at or self.repository, *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def parity(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [Path(sys.executable).parent / "parity", *arguments],
            cwd=self.root, env={**foreign_environment(), **environment},
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip


def may_mount(folder: Path) -> bool:
    script = f'mount --bind "{folder}" "{folder}" && mount -o remount,bind,ro "{folder}"'
    try:
        asked = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return asked.returncode == 0


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop.make(tmp_path_factory.mktemp("prepare"))


def test_a_project_from_git_is_prepared_for_both_sides(shop: Shop) -> None:
    """It is cloned by its address, without a token that is for another host, and parsed once for each side."""
    done = shop.parity("prepare", "--json", GITHUB_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)

    head = shop.git("rev-parse", "HEAD")
    assert told["fetched"] == [{"folder": CLONE, "address": shop.address, "commit": head}]
    assert [(each["target"], each["nodes"], each["units"]) for each in told["targets"]] == [
        ("legacy", 2, 2), ("candidate", 2, 2)
    ]  # fmt: skip
    assert (told["schema"], told["broken"]) == ("parity/prepare/1", [])
    for each in told["targets"]:
        folder = shop.root / each["folder"]
        assert all((folder / name).exists() for name in ("manifest.json", "prepared.json", "excerpts"))
    assert TOKEN not in (shop.clone / ".git" / "config").read_text()
    assert f"cloning {shop.address}" in done.stderr


def test_a_run_starts_where_the_project_cannot_be_written(shop: Shop, tmp_path: Path) -> None:
    """With the working files elsewhere, a run in a read-only file system works on the manifest of the image."""
    if not may_mount(tmp_path):
        pytest.skip("this machine lets nobody mount a folder in a namespace of its own")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "dagster.yaml").touch()
    bring_to(tmp_path / "state", Unit("shop", "orders"), Stage.RETIRED)
    script = READ_ONLY.format(
        root=shop.root,
        writable=tmp_path,
        program=Path(sys.executable).parent / "dagster",
    )

    done = subprocess.run(
        ["unshare", "--mount", "bash", "-c", script],
        env=foreign_environment(), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr[-3000:]
    assert (shop.data / "legacy.duckdb").exists()
    [used] = tmp_path.glob("targets/*/legacy")
    # A parse would have written another one, with its own time and id.
    prepared = shop.clone / "dbt" / "target" / "legacy"
    assert (used / "manifest.json").read_bytes() == (prepared / "manifest.json").read_bytes()
    assert list(used.glob("runs/*"))
    assert not list(prepared.glob("runs/*"))


def test_what_has_changed_is_fetched_and_parsed_again(shop: Shop) -> None:
    """The clone is replaced by the newest commit; --no-fetch leaves it as it is."""
    head = shop.commit({"models/prices.sql": "select 1 as price"})
    kept = json.loads(shop.parity("prepare", "--no-fetch", "--json").stdout)
    assert (kept["fetched"], kept["targets"][0]["nodes"]) == ([], 2)

    told = json.loads(shop.parity("prepare", "--json").stdout)

    assert [each["commit"] for each in told["fetched"]] == [head]
    assert [each["nodes"] for each in told["targets"]] == [3, 3]


def test_a_clone_with_changes_of_its_own_is_not_replaced(shop: Shop) -> None:
    """Nothing that somebody has changed in the folder is lost, and nothing is fetched."""
    model, new = (shop.clone / "dbt" / "models" / name for name in ("orders.sql", "own.sql"))
    before = model.read_text()
    model.write_text("select 2 as id")
    changed = shop.parity("prepare")
    kept = model.read_text()
    model.write_text(before)
    new.write_text("select 3 as id")
    added = shop.parity("prepare")
    shop.git("add", "--all", at=shop.clone)
    shop.git(*COMMIT, "own", at=shop.clone)
    committed = shop.parity("prepare")
    still = new.read_text()
    shop.git("reset", "--quiet", "--hard", "HEAD~1", at=shop.clone)

    assert (kept, still) == ("select 2 as id", "select 3 as id")
    for done, said in (
        (changed, "changes that are not committed"),
        (added, "files that are not committed (dbt/models/own.sql)"),
        (committed, "commits that are not pushed"),
    ):
        assert done.returncode == 1
        assert f"{shop.clone} has {said}" in done.stderr


def test_a_folder_of_something_else_is_not_replaced(shop: Shop) -> None:
    """A folder that is no clone, or a clone of another repository, stays."""
    other = yaml.safe_dump({"dbt_repositories": {"shop": {"repo_url": shop.address}}})
    file = shop.root / "parity.yaml"
    before = file.read_text()
    file.write_text(other)
    taken = shop.parity("prepare")
    file.write_text(before.replace(shop.address, f"{shop.address}-of-others"))
    foreign = shop.parity("prepare")
    file.write_text(before)

    assert (taken.returncode, foreign.returncode) == (1, 1)
    assert f"{shop.root / 'shop'} is no clone of it" in taken.stderr
    assert f"{shop.clone} is a clone of {shop.address}. Name another folder" in foreign.stderr
    assert (shop.root / "shop" / "definitions.py").exists()


def test_a_repository_that_cannot_be_used_leaves_what_was_there(shop: Shop) -> None:
    """If the newest commit has no dbt project, the clone that works stays, and the error says why."""
    shop.git("mv", "dbt/dbt_project.yml", "dbt/elsewhere.yml")
    shop.commit({})

    done = shop.parity("prepare")
    shop.git("mv", "dbt/elsewhere.yml", "dbt/dbt_project.yml")
    shop.commit({})

    assert done.returncode == 1
    assert f"it was not cloned to {shop.clone}: " in done.stderr
    assert "dbt_project.yml" in done.stderr
    assert (shop.clone / "dbt" / "dbt_project.yml").exists()
    assert not list(shop.clone.parent.glob(".shop-*"))


def test_a_token_that_is_named_must_be_there(shop: Shop) -> None:
    """A repository with a token of its own is never asked without one, and an address has none in it."""
    file = shop.root / "parity.yaml"
    before = file.read_text()
    with_token = {"repo_url": shop.address, "repo_relative_path": "dbt", "token_variable": "SHOP_TOKEN"}
    file.write_text(yaml.safe_dump({"dbt_repositories": {CLONE: with_token}}))
    missing = shop.parity("prepare")
    written = {"repo_url": "https://secret@git.example.com/shop.git"}
    file.write_text(yaml.safe_dump({"dbt_repositories": {CLONE: written}}))
    refused = shop.parity("prepare")
    file.write_text(before)

    assert (missing.returncode, refused.returncode) == (1, 2)
    assert "SHOP_TOKEN, which parity.yaml names for its token, is not set" in missing.stderr
    assert "Use token_variable" in refused.stderr


def test_a_broken_unit_stops_no_other(shop: Shop) -> None:
    """Its fault is shown, the exit code is 1, and everything else is prepared."""
    file = shop.root / "shop" / "defs" / "shop" / "defs.yaml"
    before = file.read_text()
    file.write_text(before.replace("select: totals", "select: 'nothing:of:that'"))

    done = shop.parity("prepare", "--no-fetch", "--json")
    file.write_text(before)
    told = json.loads(done.stdout)

    assert done.returncode == 1
    assert [fault["units"] for fault in told["broken"]] == [["shop.totals"]]
    assert [each["units"] for each in told["targets"]] == [1, 1]


def test_a_branch_or_a_tag_is_cloned(shop: Shop) -> None:
    """What is named is taken, each time anew; a commit of somebody's own with a tag on it is not replaced."""
    file = shop.root / "parity.yaml"
    before = file.read_text()
    main = shop.git("rev-parse", "HEAD")
    shop.git("checkout", "--quiet", "-b", "night")
    night = shop.commit({"models/prices.sql": "select 2 as price"})
    shop.git("tag", "v1", main)
    shop.git("checkout", "--quiet", "-")

    told = []
    for branch in ("night", "v1", "v1"):
        named = {"repo_url": shop.address, "repo_relative_path": "dbt", "branch": branch}
        file.write_text(yaml.safe_dump({"dbt_repositories": {CLONE: named}}))
        done = shop.parity("prepare", "--json")
        assert done.returncode == 0, done.stderr
        told.append(json.loads(done.stdout)["fetched"][0]["commit"])
    (shop.clone / "dbt" / "models" / "own.sql").write_text("select 3 as id")
    shop.git("add", "--all", at=shop.clone)
    shop.git(*COMMIT, "own", at=shop.clone)
    shop.git("tag", "mine", at=shop.clone)
    refused = shop.parity("prepare")
    shop.git("reset", "--quiet", "--hard", "v1", at=shop.clone)
    file.write_text(before)

    assert told == [night, main, main]
    assert (refused.returncode, "commits that are not pushed" in refused.stderr) == (1, True)
