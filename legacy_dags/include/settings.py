"""Where the estate's files are and which days it runs, read from the environment at the moment of asking.

| variable | means | default |
|---|---|---|
| `TAXI_DATA_DIR` | the folder of everything that runs write | `data` in the repository |
| `TAXI_LANDING_DIR` | a folder of real TLC files, used as they are | `<data>/landing`, generated |
| `TAXI_FIRST_DAY` | the estate's first day, a New York date | the first that is generated |
| `TAXI_LAST_DAY` | the estate's last day, inclusive | the last that is generated |
| `TAXI_DBT_BIN_DIR` | the folder that has the `dbt` program, put in front of `PATH` | `PATH` as it is |
| `TAXI_DBT_TARGET` | the dbt target of the legacy runs | `legacy` |
| `TAXI_ENROLLED` | `all`: tasks ask whose their window is when they execute | marked tasks are replaced |

A *side* is what one orchestrator writes: `legacy` is Airflow's, `candidate` is Dagster's. A side has its own
raw files, its own exports and its own database, because a DuckDB file has one writer.
"""

from __future__ import annotations

import os
from calendar import monthrange
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from include.errors import BadMonth, BadSetting

TIME_ZONE = "America/New_York"
"""TLC times are New York wall-clock times without an offset, and so are all of the estate's days."""

MONTHS = ("2023-11", "2023-12", "2024-01", "2024-02", "2024-03", "2024-04")
"""The months that are generated: without a gap, and with both clock changes, 2023-11-05 and 2024-03-10."""

SIDES = ("legacy", "candidate")
DUCKDB_TARGETS = SIDES


@dataclass(frozen=True, slots=True)
class Side:
    """The folders and the database that one orchestrator writes."""

    name: str
    folder: Path

    @property
    def raw(self) -> Path:
        return self.folder / "raw"

    @property
    def export(self) -> Path:
        return self.folder / "export"

    @property
    def database(self) -> Path:
        return self.folder / f"{self.name}.duckdb"

    @property
    def dbt_target_path(self) -> Path:
        """dbt's artifacts. Never shared: the target is a part of dbt's partial-parse key."""
        return self.folder / "dbt-target"


def repo_root() -> Path:
    return Path(__file__).resolve().parents[2]


def dbt_project_dir() -> Path:
    return repo_root() / "dbt"


def data_dir() -> Path:
    """Absolute, whatever the variable says: dbt and Airflow run in other working directories."""
    return Path(os.environ.get("TAXI_DATA_DIR") or repo_root() / "data").resolve()


def landing_dir() -> Path:
    return Path(os.environ.get("TAXI_LANDING_DIR") or data_dir() / "landing").resolve()


def landing_is_generated() -> bool:
    """False when the team brought its own files, to which nothing may be added."""
    return not os.environ.get("TAXI_LANDING_DIR")


def side(name: str) -> Side:
    """Raises `BadSetting` for anything but `legacy` and `candidate`."""
    if name not in SIDES:
        raise BadSetting("side", name, " or ".join(SIDES))
    return Side(name, data_dir() / name)


def dbt_target() -> str:
    return os.environ.get("TAXI_DBT_TARGET") or "legacy"


def enrolled() -> str | None:
    """Raises `BadSetting` for anything but `all`."""
    text = os.environ.get("TAXI_ENROLLED") or None
    if text not in (None, "all"):
        raise BadSetting("TAXI_ENROLLED", text, "all")
    return text


def dbt_env(side_name: str = "legacy", *, task: str = "") -> dict[str, str]:
    """What a `dbt` command of that side needs in its environment, besides what is there already.

    `task`: one whose commands have other `--vars` than the side's. dbt parses the whole project again when the vars of
    its last command in a target path were others, so such a task has a target path of its own.
    """
    target_path = side(side_name).dbt_target_path / task
    env = {
        "TAXI_DATA_DIR": str(data_dir()),
        "DBT_PROFILES_DIR": str(dbt_project_dir()),
        "DBT_TARGET_PATH": str(target_path),
        "DBT_LOG_PATH": str(target_path),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    if bin_dir := os.environ.get("TAXI_DBT_BIN_DIR"):
        env["PATH"] = os.pathsep.join([str(Path(bin_dir).resolve()), os.environ.get("PATH", os.defpath)])
    return env


def first_day() -> date:
    return _day("TAXI_FIRST_DAY", parse_month(MONTHS[0]))


def last_day() -> date:
    """The last day that has a window, inclusive. Raises `BadSetting` when it lies before the first."""
    end = parse_month(MONTHS[-1])
    last = _day("TAXI_LAST_DAY", end.replace(day=monthrange(end.year, end.month)[1]))
    if last < first_day():
        raise BadSetting("TAXI_LAST_DAY", last.isoformat(), f"a day not before {first_day()}")
    return last


def parse_month(month: str) -> date:
    """The first day of a month written YYYY-MM; raises `BadMonth` for anything else."""
    try:
        day = date.fromisoformat(f"{month}-01")
    except ValueError:
        raise BadMonth(month) from None
    if day.strftime("%Y-%m") != month:
        raise BadMonth(month)
    return day


def _day(name: str, default: date) -> date:
    text = os.environ.get(name)
    if not text:
        return default
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadSetting(name, text, "a day written YYYY-MM-DD") from None
