"""Two windows of a small dbt project, by the dbt of this environment or by an executable: its report, and its seconds.

`make matrix` copies this file into an environment of its own, so that nothing else of this repository is on its path.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import duckdb

from dagster_defs.adapters.dbt.executable import DbtExecutable, kept_in
from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.files import atomic
from dagster_defs.adapters.warehouse.built_tables import tables_built_by

FILES = {
    "dbt_project.yml": "{name: small, version: 1.0.0, profile: small, flags: {send_anonymous_usage_stats: false}}",
    "profiles.yml": """
small:
  target: legacy
  outputs:
    legacy: {type: duckdb, path: ../legacy.duckdb, threads: 1}
    candidate: {type: duckdb, path: ../candidate.duckdb, threads: 1}
""",
    "seeds/ports.csv": "id,port\n1,Bergen\n2,Cork\n",
    "models/ships.sql": """
{{ config(materialized='incremental', unique_key='day') }}
select {{ var('number', 0) }} as number, '{{ var('day', '') }}' as day""",
    "models/fleet.sql": "{{ config(materialized='view') }} select number from {{ ref('ships') }}",
    "models/harbours.sql": "{{ config(materialized='table') }} select port, 2 as ships from {{ ref('ports') }}",
    "models/schema.yml": """
models:
  - name: ships
    columns:
      - name: number
        data_tests: [not_null, {accepted_values: {ARGUMENTS, config: {severity: warn}}}]
unit_tests:
  - {name: two, model: harbours, given: [{input: ref('ports'), rows: [{port: Cork}]}],
     expect: {rows: [{port: Cork, ships: 2}]}}
""",
}
TABLES = ("ships", "fleet", "ports", "harbours")
WINDOWS = ({"number": 7, "day": "2024-01-01"}, {"number": 8, "day": "2024-01-02"})


# Arguments of a test: dbt-core 2 takes only the newer way, which dbt-core 1 has only since 1.10.
OLDER, NEWER = "values: [1]", "arguments: {values: [1]}"


def write_project(root: Path, arguments: str = OLDER) -> Path:
    for name, text in FILES.items():
        atomic.write_text(root / "small" / name, text.replace("ARGUMENTS", arguments))
    return root / "small"


def workspace_by(program: Path | None, project: Path) -> DbtWorkspace:
    """`program`: None for the dbt of this environment."""
    executable = DbtExecutable.named(str(program), kept_in(project)) if program else None
    return DbtWorkspace(project, "legacy", executable=executable)


def run_window(workspace: DbtWorkspace, window: dict[str, Any], run_dir: Path) -> dict[str, Any]:
    """Each result with its status, whether it has times, and the rows and columns that it left; and all tables."""
    run = workspace.run(["build"], variables=window, run_dir=run_dir)
    results = []
    nodes = workspace.manifest["nodes"]
    with tables_built_by(run, workspace) as built:
        for event in run.events():
            node = event["data"]["node_info"]
            relation = (node.get("node_relation") or {}).get("relation_name")
            results.append(
                [
                    event["info"]["name"],
                    node["unique_id"],
                    event["data"].get("status") or "",
                    node.get("node_status") or "",
                    bool(node.get("node_started_at") and node.get("node_finished_at")),
                    built.count_rows(relation) if relation else None,
                    [list(column) for column in built.columns_of(nodes[node["unique_id"]])]
                    if relation
                    else [],
                ]
            )
    with duckdb.connect(str(workspace.database_file), read_only=True) as connection:
        tables = {
            name: [list(row) for row in connection.execute(f"from {name} order by all").fetchall()]
            for name in TABLES
        }
    return {"results": sorted(results), "tables": tables}


def main(project: Path, program: Path | None) -> dict[str, Any]:
    """Two windows, after the parse; the second one's seconds, for which this process has imported all that it needs."""
    workspace = workspace_by(program, project)
    _ = workspace.manifest
    for number, window in enumerate(WINDOWS):
        began = time.monotonic()
        reported = run_window(workspace, window, project.parent / f"run-{number}")
        seconds = time.monotonic() - began
    return {**reported, "seconds": seconds}


if __name__ == "__main__":
    folder, *programs = map(Path, (word for word in sys.argv[1:] if word != "--newer"))
    made = write_project(folder, NEWER if "--newer" in sys.argv else OLDER)
    atomic.write_json(folder / "reported.json", main(made, programs[0] if programs else None))
