"""`parity scaffold`: what a task does beside its dbt call, before it, after it and in its environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from dagster_defs.settings import Settings
from dagster_defs.usecases.inventory import read_inventory
from dagster_defs.usecases.verify import verify_mirrors
from tests.support.scaffolded import dag, mirrors_below, task


def test_what_runs_beside_dbt_is_carried(scaffolded: Any, tmp_path: Path) -> None:
    """As words with templates, in order; what cannot be repeated is a gap with its reason, and never a refusal."""
    (tmp_path / "pyproject.toml").touch()
    command = (
        "aws s3 sync s3://raw/{{ ds }} data && dbt run -s orders_per_day && aws s3 cp target/manifest.json s3://docs "
        "&& (curl -d {{ ds }} https://h || true)"
    )
    [written] = scaffolded(dag("x", task("t", command))).values()

    assert written["units"] == ["x.t"]
    [gap] = written["gaps"]
    assert "1 task runs `aws s3 cp target/manifest.json s3://docs` beside dbt" in gap
    text = Path(written["path"]).read_text()
    assert (
        "# after dbt, left out: `aws s3 cp target/manifest.json s3://docs`: it reads a folder that dbt"
        in text
    )
    [mirror] = yaml.safe_load_all(text)
    assert mirror["attributes"]["before"] == [["aws", "s3", "sync", "s3://raw/{{ ds }}", "data"]]
    assert mirror["attributes"]["after"] == [
        {"run": ["curl", "-d", "{{ ds }}", "https://h"], "may_fail": True}
    ]
    [unit] = verify_mirrors(
        Settings.from_process(),
        mirrors_below(tmp_path),
        read_inventory(tmp_path / "inventory.json", tmp_path / "parity.yaml"),
    )
    selection = next(facet for facet in unit.facets if facet.name == "selection")
    assert "the mirror runs 2 of these" in selection.detail
    assert "`curl` after dbt, on the owner side alone" in selection.detail


def test_files_that_a_task_leaves_after_dbt_are_carried(scaffolded: Any, tmp_path: Path) -> None:
    """Somebody may wait for them; what lays out the project before dbt does nothing in a mirror."""
    command = (
        "mkdir -p /out && cp /etc/profiles.yml . && dbt run -s orders_per_day && touch /out/{{ ds }}.done "
        "&& tar czf /out/docs.tgz target/index.html && echo said && echo {{ ds }} > /out/last && echo x > /dev/null"
    )
    [written] = scaffolded(dag("x", task("t", command))).values()

    text = Path(written["path"]).read_text()
    [mirror] = yaml.safe_load_all(text)
    assert "before" not in mirror["attributes"]
    assert mirror["attributes"]["after"] == [["touch", "/out/{{ ds }}.done"]]
    assert (
        "# after dbt, left out: `tar czf /out/docs.tgz target/index.html`: it reads a folder that dbt" in text
    )
    assert (
        "# after dbt, left out: `echo {{ ds }}`: it is part of a pipeline, a substitution or a redirection"
        in text
    )
    [gap] = written["gaps"]
    assert "1 task runs `tar czf /out/docs.tgz target/index.html`, `echo {{ ds }}` beside dbt" in gap


def test_what_the_task_sets_for_dbt_is_carried(scaffolded: Any, tmp_path: Path) -> None:
    """Constant variables in the environment of dbt stand in the mirror, those of another machine's places do not."""
    env = {"SHOP_DATA": "/data", "DBT_TARGET": "prod"}
    command = "SHOP_MODE=fast dbt run -s orders_per_day"
    sample = {
        "start": "2024-03-01T04:00:00+00:00",
        "end": "2024-03-02T04:00:00+00:00",
        "fields": {"bash_command": command, "env": env},
    }
    given = task("marts", command, rendered=[sample])
    given["templated"]["env"] = env
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "dbt" / "macros").mkdir()
    mode = "{% macro mode() %}{{ env_var('SHOP_MODE', 'slow') }}{% endmacro %}"
    (tmp_path / "dbt" / "macros" / "mode.sql").write_text(mode)
    written = scaffolded(dag("orders", given))["orders"]

    assert written["gaps"] == []
    [mirror] = yaml.safe_load_all(Path(written["path"]).read_text())
    assert mirror["attributes"]["env"] == {"SHOP_DATA": "/data", "SHOP_MODE": "fast"}
    [unit] = verify_mirrors(
        Settings.from_process(),
        mirrors_below(tmp_path),
        read_inventory(tmp_path / "inventory.json", tmp_path / "parity.yaml"),
    )
    variables = next(facet for facet in unit.facets if facet.name == "variables")
    assert (variables.agrees.value, variables.detail) == ("agrees", "in 1 windows")
