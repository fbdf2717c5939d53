"""`python -m bench.one_model stock|ours|whole PROJECT VARS`: one run of one model; prints when the model started."""

import json
import re
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg


def main(way: str, project: Path, variables: dict[str, str]) -> float:
    """Seconds since the epoch at which dbt says that the first model starts."""
    assets, log = _stock(project, variables) if way == "stock" else _ours(project, variables, way == "whole")
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([assets], instance=instance)
    if not result.success:
        raise SystemExit("the run failed")
    return _first_start(log(result.run_id))


def _stock(project: Path, variables: dict[str, str]) -> Any:
    from dagster_dbt import DbtCliResource, DbtProject, dbt_assets

    dbt_project = DbtProject(project, target="legacy")
    dbt_project.preparer.prepare_if_dev(dbt_project)
    if not dbt_project.manifest_path.exists():
        dbt_project.preparer.prepare(dbt_project)

    @dbt_assets(manifest=dbt_project.manifest_path, project=dbt_project, select="tag:first")
    def one_model(context: dg.AssetExecutionContext) -> Iterator[Any]:
        dbt = DbtCliResource(dbt_project)
        yield from dbt.cli(["build", "--vars", json.dumps(variables)], context=context).stream()

    def log(run_id: str) -> Path:
        return max(project.glob("target/**/dbt.log"), key=lambda path: path.stat().st_mtime)

    return one_model, log


def _ours(project: Path, variables: dict[str, str], whole: bool) -> Any:
    """`whole`: with the manifest of all models, as for a unit whose models depend on all others."""
    from dagster_defs.adapters.dbt.project import DbtWorkspace

    workspace = DbtWorkspace(project, "legacy")
    run_dir = workspace.target_path / "runs" / "bench"
    (run_dir / "dbt.log").unlink(missing_ok=True)

    selected = workspace.select("tag:first")  # as a unit does when definitions are loaded

    @dg.asset
    def one_model() -> None:
        command = ["build", "--select", "tag:first"]
        list(
            workspace.run(
                command, variables=variables, run_dir=run_dir, nodes=None if whole else selected
            ).events()
        )

    return one_model, lambda run_id: run_dir / "dbt.log"


def _first_start(log: Path) -> float:
    """dbt's log file has local wall-clock times; the first `START` is the model's."""
    day = datetime.fromtimestamp(log.stat().st_mtime).astimezone()
    for line in log.read_text().splitlines():
        if match := re.match(r".*?(\d\d):(\d\d):(\d\d)\.(\d+).*START sql", line):
            hour, minute, second, micro = (int(part) for part in match.groups())
            return day.replace(hour=hour, minute=minute, second=second, microsecond=micro).timestamp()
    raise SystemExit(f"no model started: {log}")


if __name__ == "__main__":
    print(main(sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])))  # noqa: T201 - what the bench reads
