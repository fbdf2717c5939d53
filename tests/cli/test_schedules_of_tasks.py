"""From a DAG file to mirrors that verify: bounds of tasks, days in other zones, and schedules that have no mirror.

The DAGs are read by a real Airflow and its exporter; `parity scaffold` and `parity verify` do the rest.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from dagster_defs import cli
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.agreement import Facet
from dagster_defs.settings import Settings
from dagster_defs.usecases.inventory import read_inventory
from dagster_defs.usecases.verify import verify_mirrors
from tests.support.estate import AIRFLOW_PYTHON, ROOT, foreign_environment
from tests.support.scaffolded import PROJECT, mirrors_below

pytestmark = pytest.mark.airflow

DAGS = """
from datetime import datetime, timedelta, timezone
import pendulum
from dateutil import tz
from dateutil.relativedelta import relativedelta
from airflow import DAG
from airflow.operators.bash import BashOperator
from airflow.timetables.interval import CronDataIntervalTimetable
from airflow.timetables.trigger import CronTriggerTimetable

P = pendulum.datetime
COMMAND = "dbt run -s orders_per_day --vars '{day: \\"{{ data_interval_start }}\\"}'"


def make(name, schedule, start, *, tasks=None, **more):
    with DAG(name, schedule=schedule, start_date=start, catchup=True, **more) as dag:
        for task_id, bounds in (tasks or {"t": {}}).items():
            BashOperator(task_id=task_id, bash_command=COMMAND, **bounds)
    globals()[name] = dag


NY = "America/New_York"
# bounds of tasks
make("two", "@daily", P(2024, 1, 1),
     tasks={"always": {}, "a_while": {"start_date": P(2024, 1, 31), "end_date": P(2024, 3, 1)}})
make("partial", "0 6 * * *", P(2024, 1, 1, tz=NY), tasks={
    "later": {"start_date": P(2024, 2, 10, 12, tz="Asia/Kolkata")},       # inside a window, in another zone
    "until": {"end_date": datetime(2024, 2, 20, 11, tzinfo=timezone.utc)},  # a window starts at this very instant
    "before": {"start_date": P(2023, 6, 1), "end_date": P(2024, 6, 1)},
    "gone": {"end_date": P(2024, 1, 10)},
})
make("all_end", "@daily", P(2024, 1, 1),
     tasks={"one": {"end_date": P(2024, 2, 1)}, "other": {"end_date": P(2024, 3, 1)}})
make("steps", timedelta(hours=8), P(2024, 1, 1, 3, tz=NY),
     tasks={"all": {}, "some": {"start_date": P(2024, 2, 1, 4, tz="UTC"), "end_date": P(2024, 2, 3, tz="UTC")}})
# days of the span in other zones
make("every8", timedelta(hours=8), P(2024, 1, 1, 3, tz=NY))
make("every8_utc", timedelta(hours=8), P(2024, 1, 1, 8, tz="UTC"))
make("berlin_in_ny", CronDataIntervalTimetable("0 2 * * *", timezone="Europe/Berlin"), P(2024, 1, 1, tz=NY))
make("ny_in_kolkata", CronDataIntervalTimetable("30 23 * * *", timezone=NY), P(2024, 1, 1, tz="Asia/Kolkata"))
# zones that are an offset
make("offset_pendulum", "0 6 * * *", P(2024, 1, 1, tz=pendulum.FixedTimezone(19800)))
make("offset_dateutil", "@monthly", datetime(2023, 12, 1, tzinfo=tz.tzoffset(None, -18000)))
make("offset_none", "@daily", datetime(2024, 1, 1, tzinfo=tz.tzoffset("x", 0)))
make("offset_delta", timedelta(hours=6), datetime(2024, 1, 1, 1, tzinfo=timezone(timedelta(hours=2))))
make("same_steps", relativedelta(hours=+12), P(2024, 1, 1))
make("fall_back", "30 1 * * *", P(2023, 11, 5, 5, 30).in_timezone(NY))  # the first of two half past ones
# no mirror
make("trigger", CronTriggerTimetable("0 6 * * *", timezone="UTC"), P(2024, 1, 31))
make("rolling", "0 14 * * 1-6", pendulum.now("UTC").subtract(days=1).start_of("day"))
make("rolling_datetime", "@daily", datetime.now(timezone.utc) - timedelta(days=1000))
"""


@dataclass(frozen=True)
class Written:
    """What the scaffold wrote, and the `windows` facet of each unit that was mirrored."""

    files: dict[str, dict[str, Any]]
    windows: dict[str, Facet]

    def schedule(self, unit: str) -> dict[str, Any]:
        dag = unit.partition(".")[0]
        for document in yaml.safe_load_all(Path(self.files[dag]["path"]).read_text()):
            if document["attributes"]["unit"] == unit:
                found: dict[str, Any] = document["attributes"]["schedule"]
                return found
        raise AssertionError(f"no mirror of {unit}: {self.files[dag]}")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of its own, and the inventory that Airflow's exporter wrote of the DAGs."""
    root = tmp_path_factory.mktemp("schedules")
    (root / "pyproject.toml").touch()
    (root / "dags").mkdir()
    (root / "dags" / "schedules.py").write_text(DAGS)
    shutil.copytree(PROJECT, root / "dbt")
    subprocess.run(
        [
            *(
                str(AIRFLOW_PYTHON),
                str(ROOT / "legacy_dags/handover/inventory.py"),
            ),
            *("--dags-folder", str(root / "dags"), "--from", "2024-01-01", "--to", "2024-03-15"),
            *("--out", str(root / "inventory.json")),
        ],
        env=foreign_environment(),
        check=True,
        capture_output=True,
        timeout=1200,
    )
    return root


@pytest.fixture(scope="module")
def written(root: Path) -> Iterator[Written]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("SHOP_DATA", str(root))
        arguments = ["scaffold", str(root / "inventory.json"), "--dbt-project", str(root / "dbt")]
        outcome = CliRunner().invoke(
            cli.app, [*arguments, "--out", str(root / "dagster_defs" / "defs"), "--json"]
        )
        assert outcome.exit_code == 0, outcome.output
        files = {Path(file["path"]).parent.name: file for file in json.loads(outcome.stdout)["files"]}
        verified = verify_mirrors(
            Settings.from_process(),
            mirrors_below(root),
            read_inventory(root / "inventory.json", root / "parity.yaml"),
        )
        yield Written(files, {str(unit.unit): unit.facets[0] for unit in verified})


@pytest.mark.parametrize(
    ("unit", "start", "end", "compared"),
    [
        pytest.param("two.a_while", "2024-01-31", "2024-03-01", 31, id="10-task-start-end"),
        ("two.always", "2024-01-01", None, 75),
        ("partial.later", "2024-02-10T01:30:00", None, 35),
        ("partial.until", "2024-01-01", "2024-02-20T06:00:00", 51),
        ("partial.before", "2024-01-01", "2024-05-31T20:00:00", 75),
        ("partial.gone", "2024-01-01", "2024-01-09T19:00:00", 9),
        ("all_end.one", "2024-01-01", "2024-02-01", 32),
        ("all_end.other", "2024-01-01", "2024-03-01", 61),
        ("steps.all", "2024-01-01T08:00:00", None, 225),
        ("steps.some", "2024-02-01T04:00:00", "2024-02-03", 6),
        pytest.param("every8.t", "2024-01-01T08:00:00", None, 225, id="19-span-read-in-the-mirrors-zone"),
        ("every8_utc.t", "2024-01-01T08:00:00", None, 224),
        ("berlin_in_ny.t", "2024-01-01T06:00:00", None, 75),
        ("ny_in_kolkata.t", "2023-12-31T13:30:00", None, 75),
        ("offset_pendulum.t", "2024-01-01", None, 75),
        ("offset_dateutil.t", "2023-12-01", None, 3),
        ("offset_none.t", "2024-01-01", None, 75),
        ("offset_delta.t", "2023-12-31T23:00:00", None, 300),
        ("same_steps.t", "2024-01-01", None, 150),
        ("fall_back.t", "2023-11-05T01:30:00-04:00", None, 75),
    ],
)
def test_a_mirror_has_the_windows_of_its_task(
    written: Written, unit: str, start: str, end: str | None, compared: int
) -> None:
    """Start and end are the task's, where it has its own; every window of the span is Airflow's, and none is more."""
    schedule, facet = written.schedule(unit), written.windows[unit]

    assert (schedule["start"], schedule.get("end")) == (start, end)
    assert (facet.agrees.value, facet.detail, facet.compared) == ("agrees", facet.detail, compared), facet


@pytest.mark.parametrize(
    ("unit", "zone"),
    [("offset_pendulum.t", "+05:30"), ("offset_dateutil.t", "-05:00"), ("offset_none.t", "UTC")],
)
def test_an_offset_is_written_in_one_way(written: Written, unit: str, zone: str) -> None:
    """The zone of a DAG that is an offset stands in the mirror as `+05:30`, whatever library made it."""
    assert written.schedule(unit)["timezone"] == zone


REFUSED = [
    ("rolling", "computed when the DAG file is parsed", "elsewhere each day"),
    ("rolling_datetime", "computed when the DAG file is parsed", "elsewhere each day"),
]


@pytest.mark.parametrize(
    ("dag", "message", "why"),
    [pytest.param(*case, id=f"12-untrue-words-of-schedules {case[0]}") for case in REFUSED],
)
def test_a_refusal_says_the_true_reason(written: Written, dag: str, message: str, why: str) -> None:
    """A schedule without a mirror is a gap that names the schedule as it is, and why it has none."""
    [gap] = written.files[dag]["gaps"]

    assert message in gap
    assert why in gap
    for untrue in ("'0:00:00'", "no window that recurs", "rendered it for any window"):
        assert untrue not in gap


@pytest.mark.parametrize(
    ("unit", "line", "instead", "message"),
    [
        ("two.a_while", "    end: '2024-03-01'\n", "", "the task ends 2024-03-01T00:00:00+00:00, the mirror goes on"),
        ("two.a_while", "start: '2024-01-31'", "start: '2024-01-01'", "the task starts 2024-01-31"),
        ("two.a_while", "end: '2024-03-01'", "end: '2024-04-01'", "the mirror 2024-04-01"),
        ("partial.before", "    end: '2024-05-31T20:00:00'\n", "", "the task ends 2024-06-01"),  # after the span
        ("partial.gone", "end: '2024-01-09T19:00:00'", "end: '2024-01-08T06:00:00'", "1 windows exist only in Airflow"),
    ],
)  # fmt: skip
def test_other_bounds_are_a_difference(
    written: Written, root: Path, unit: str, line: str, instead: str, message: str
) -> None:
    """A mirror that begins or ends elsewhere than its task differs in `windows`, in the span or after it."""
    file = Path(written.files[unit.partition(".")[0]]["path"])
    before = file.read_text()
    documents = before.split("---\n")
    [own] = [number for number, text in enumerate(documents) if f"unit: {unit}\n" in text]
    assert line in documents[own], documents[own]
    documents[own] = documents[own].replace(line, instead)
    file.write_text("---\n".join(documents))
    try:
        verified = verify_mirrors(
            Settings.from_process(),
            mirrors_below(root),
            read_inventory(root / "inventory.json", root / "parity.yaml"),
            [Unit.parse(unit)],
        )
        [facet] = [each.facets[0] for each in verified]
    finally:
        file.write_text(before)

    assert facet.agrees.value == "differs"
    assert message in facet.detail
