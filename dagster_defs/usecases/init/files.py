"""The content of the files that `parity init` writes."""

from __future__ import annotations

from dagster_defs.usecases.migration_plan import BEGIN, END

PYPROJECT = """\
[build-system]
requires = ["setuptools>=80"]
build-backend = "setuptools.build_meta"

[project]
name = "{name}"
version = "0.1.0"
requires-python = ">=3.10"
dependencies = ["airflow-parity"]

[tool.setuptools.packages.find]
include = ["{module}*"]

[tool.setuptools.package-data]
{module} = ["defs/**/*"]

[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "{module}"
"""

PACKAGE = '''\
"""A Dagster code location whose mirrors are below defs/."""
'''

DEFINITIONS = '''\
"""The code location."""

from pathlib import Path

import dagster as dg
from dagster_defs.components.project import load_project


@dg.definitions
def defs() -> dg.Definitions:
    return load_project(Path(__file__).parent, sole=True)
'''

ESTATE = """\
# The Airflow that is observed: AIRFLOW_URL, AIRFLOW_USER and AIRFLOW_PASSWORD say where it is.
type: dagster_defs.components.AirflowEstate
attributes:
  name: airflow
  poll_seconds: 30
"""

ENVIRONMENT = """\
# Copy to .env, which dg reads, or set the same where Dagster and `parity` run. Keep .env out of the repository.
AIRFLOW_URL=http://127.0.0.1:8080
AIRFLOW_USER=
AIRFLOW_PASSWORD=
# Dagster's web server, for the moves that ask it about live runs.
DAGSTER_URL=http://127.0.0.1:3000
# The ledger and the marks: a folder that Airflow's scheduler and workers see too.
PARITY_PROXIED_STATE=
# dbt targets: where Airflow writes, and where candidates do.
PARITY_LEGACY_TARGET=legacy
PARITY_CANDIDATE_TARGET=candidate
# A Python with Airflow and airflow-parity-handover, for mirrors that run the DAG files' own operators.
PARITY_AIRFLOW_PYTHON=
"""

PLAN = f"""\
# Migration plan

What moves when, what must hold before it does, who decides, and what to do on the night.

## Where it stands

{BEGIN}

No unit is mirrored.

| unit | stage | owner |
|---|---|---|

{END}

`parity migration-plan --write` updates the block after a move, and `parity migration-plan --check` fails in CI while
it is stale.

## What moves when

One unit at a time; the next one only after the previous one has soaked. Small and repeatable units come first.

| order | unit | why here | soak |
|---|---|---|---|

## Gates

Each unit's YAML has its own bounds; without any these hold. `parity status` shows what keeps a gate closed.

| before | default |
|---|---|
| cutover | the 7 newest windows compared, all of them equal |
| retire | 7 days and 7 windows in Dagster without a failure |

## On the night

- Look: `parity status`, `parity cutover UNIT` (shows the plan and changes nothing), `parity cutover UNIT --apply`.
- Way back, until the DAG is retired: `parity rollback UNIT --apply`.
- A move that was interrupted: `parity resume --apply`.
"""

WORKFLOW = """\
name: parity

on: [pull_request]

jobs:
  parity:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.11"
      - run: pip install . dagster-dg-cli
      - run: dg check defs
      - run: parity migration-plan --check
"""

PRIVATE_FOLDER = """\
# Caches, and what operators hand to each other, which may be secret.
*
"""
