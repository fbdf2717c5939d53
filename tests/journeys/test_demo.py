"""The main job on real servers: `parity demo` from nothing to verdicts, and its end in every way."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import duckdb
import pendulum
import psutil
import pytest

from dagster_defs.adapters.processes.guardian import GUARDIAN
from dagster_defs.adapters.processes.supervisor import last_lines
from dagster_defs.adapters.store.ledger import Ledger
from dagster_defs.adapters.store.proxied_state import read_marks
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.histories import Retired
from dagster_defs.lifecycle.ledger import Kind
from dagster_defs.lifecycle.stages import Move
from tests.support.estate import BIN, ROOT, foreign_environment

pytestmark = [pytest.mark.journey, pytest.mark.timeout(3000)]

PROGRAMS = {"2": ROOT / ".venv-airflow" / "bin", "3": ROOT / ".venv-airflow3" / "bin"}
DAYS = tuple(f"2024-03-{day:02}" for day in range(7, 14))
NEXT_DAY = "2024-03-14"
SPRING_DAY = DAYS[2]  # to 06:00 on the 10th, New York: 23 hours
UNITS = ("taxi_daily.dbt_daily", "taxi_daily.dbt_zones", "taxi_daily.export_daily")


@dataclass(frozen=True)
class Place:
    """A folder for a demo of one's own, so that a developer's demo is left alone. `airflow`: its major version."""

    folder: Path
    airflow: str = "2"

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)])
        return {**foreign_environment(), "PATH": path, "PARITY_DEMO_DIR": str(self.folder)}

    def start(self) -> subprocess.Popen[str]:
        return GUARDIAN.start(
            [str(BIN / "parity"), "demo", "--airflow", self.airflow, "--exit"],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def ends_of_logs(self) -> str:
        """The folder is gone after the test: what its servers said last, for whoever reads the failure."""
        logs = sorted((self.folder / "run" / "logs").glob("*.log"))
        return "".join(f"\n=== {log.name}\n{last_lines(log, 25)}" for log in logs)

    def processes(self) -> list[psutil.Process]:
        """Every process that belongs to this demo: its command line or its environment names the folder."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                said = [*process.cmdline(), *process.environ().values()]
            except psutil.Error:
                continue
            if any(str(self.folder) in text for text in said):
                found.append(process)
        return found


def eventually(fact: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


@pytest.fixture(scope="module", params=[pytest.param("2", marks=pytest.mark.whole), "3"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    if not PROGRAMS[request.param].exists():
        pytest.skip(f"no Airflow {request.param} environment here; `make test` makes it")
    # Not pytest's own folder, which is closed to others: started by root, PostgreSQL runs as another user.
    with tempfile.TemporaryDirectory(prefix="parity-demo-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        place = Place(Path(folder) / "estate", request.param)
        yield place
        for process in place.processes():
            process.kill()


@pytest.fixture(scope="module")
def interrupted(place: Place) -> subprocess.CompletedProcess[str]:
    """A demo that got Ctrl-C while its servers were starting."""
    demo = place.start()
    # The scheduler's log is there: PostgreSQL, scheduler and web server have been started, nothing is ready.
    log = place.folder / "run" / "logs" / "airflow-scheduler.log"
    assert eventually(lambda: log.exists() or demo.poll() is not None, 120), "Airflow was never started"
    assert demo.poll() is None, demo.communicate()
    assert len(place.processes()) > 2
    demo.send_signal(signal.SIGINT)
    out, err = demo.communicate(timeout=300)
    return subprocess.CompletedProcess(demo.args, demo.returncode, out, err)


@pytest.fixture(scope="module")
def told(place: Place, interrupted: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    """The whole demo, right after the interrupted one, in the same folder."""
    demo = place.start()
    out, err = demo.communicate(timeout=1800)
    return subprocess.CompletedProcess(demo.args, demo.returncode, out, err)


def test_ctrl_c_stops_every_child(place: Place, interrupted: subprocess.CompletedProcess[str]) -> None:
    """Ctrl-C in the middle of the start ends every process of the demo, says so, and exits 130."""
    assert interrupted.returncode == 130, interrupted.stderr
    assert "interrupted; everything that was started has been stopped" in interrupted.stderr
    assert "Traceback" not in interrupted.stderr
    assert eventually(lambda: place.processes() == [], 15), place.processes()


def test_the_demo_succeeds_after_an_interrupted_one(
    place: Place, told: subprocess.CompletedProcess[str]
) -> None:
    """A demo in the folder that an interrupted one has left behind runs to its end and exits 0."""
    assert told.returncode == 0, told.stdout + told.stderr[-4000:] + place.ends_of_logs()


def test_the_report_is_written(place: Place, told: subprocess.CompletedProcess[str]) -> None:
    """The demo ends with the address of a page that has every unit, its windows and the moves."""
    [said] = [line for line in told.stdout.splitlines() if line.startswith("Report:")]
    page = Path(said.removeprefix("Report:").strip()).read_text()

    assert {*UNITS, "taxi_ingest.load_trips"} <= {*re.findall(r"taxi_\w+\.\w+", page)}
    assert all(day in page for day in DAYS[2:5])
    assert "set DAGSTER_HOME" not in page
    assert "retire" in page


def test_every_verdict_is_a_match(told: subprocess.CompletedProcess[str]) -> None:
    """Every window that both sides ran matches, the 23-hour one among them, and rows were compared."""
    rows = [
        line.split() for line in told.stdout.splitlines() if line.startswith(("taxi_daily.", "taxi_ingest."))
    ]

    assert {row[-1] for row in rows} == {"match"}
    windows = {(row[0], row[1], row[2]) for row in rows}
    assert {("taxi_daily.dbt_daily", "daily_metrics", day) for day in DAYS[2:5]} <= windows
    assert {("taxi_daily.export_daily", "daily_metrics_export", day) for day in DAYS[2:5]} <= windows
    assert ("taxi_ingest.load_trips", "taxi_trips", "2024-03-01") in windows
    for row in rows:
        assert row[-3] == row[-2] != "0", row
    assert SPRING_DAY in {row[2] for row in rows}
    assert f"{len(rows)}/{len(rows)} match" in told.stdout


def test_both_addresses_are_told(told: subprocess.CompletedProcess[str]) -> None:
    """The output ends with the addresses of both UIs, on loopback."""
    lines = told.stdout.splitlines()

    assert any(line.startswith("Airflow: http://127.0.0.1:") for line in lines)
    assert any(line.startswith("Dagster: http://127.0.0.1:") for line in lines)


def test_the_whole_way_is_told(told: subprocess.CompletedProcess[str]) -> None:
    """Progress goes to stderr: every move and every day of the way from observed to retired, in this order."""
    steps = [
        "Dagster has observed what Airflow ran",
        "parity shadow taxi_daily --apply",
        "Dagster has compared every window",
        "parity rollback taxi_daily --rehearsed --apply",
        "parity cutover taxi_daily --apply",
        "Airflow has run a day through Dagster",
        "parity rollback taxi_daily --apply",
        "Airflow has run a day by itself again",
        "Airflow has run one more day through Dagster, while it soaks",
        "parity retire taxi_daily --apply",
        "Dagster's own schedule has run the days that were left",
    ]

    places = [told.stderr.find(step) for step in steps]

    assert -1 not in places, steps[places.index(-1)]
    assert places == sorted(places)


def test_each_window_has_one_writer(told: subprocess.CompletedProcess[str]) -> None:
    """Since they were enrolled each window of the three units was written by one orchestrator, and all were."""
    for unit in UNITS:
        [said] = re.findall(rf"{unit} was written by (.*)", told.stderr)
        by_owner = {owner: span for owner, _, span in (part.partition(" ") for part in said.split("; "))}
        written = {owner: [*days_of(spans)] for owner, spans in by_owner.items()}
        days = sorted([*written["Airflow"], *written["Dagster"]])
        # On a busy machine Airflow may run a day more before the demo lets it rest.
        assert days in ([*DAYS[1:]], [*DAYS[2:]]), said
        # Airflow, Dagster, Airflow again after the rollback, and Dagster to the end.
        turns = [owner for owner, _ in groupby("A" if day in written["Airflow"] else "D" for day in days)]
        assert turns == ["A", "D", "A", "D"], said


def days_of(spans: str) -> Iterator[str]:
    """`2024-03-09, 2024-03-11 … 2024-03-13 (3)` as days."""
    for span in spans.split(", "):
        found = re.findall(r"\d{4}-\d{2}-\d{2}", span)
        if found:
            yield from (day for day in DAYS if found[0] <= day <= found[-1])


def test_the_ledger_has_the_whole_way(place: Place, told: subprocess.CompletedProcess[str]) -> None:
    """Every move of each unit is in the ledger, done, and none of them was forced; its task stays a proxy."""
    assert told.returncode == 0
    folder = place.folder / "proxied_state"
    histories = Ledger(folder).read().histories()

    for unit in map(Unit.parse, UNITS):
        done = [entry.move for entry in histories[unit].entries if entry.kind is Kind.DONE]
        assert done == [Move.SHADOW, Move.CUTOVER, Move.ROLLBACK, Move.CUTOVER, Move.RETIRE]
        assert histories[unit].forced == ()
        history = histories[unit]
        assert isinstance(history, Retired)
        # On a busy machine the last day has been written before the demo retires: the first window is the next one's.
        assert DAYS[5] <= str(history.begins)[:10] <= NEXT_DAY
        assert read_marks(folder)[unit]


def new_york(day: str) -> pendulum.DateTime:
    """Six in the morning, when the days of taxi_daily begin and end."""
    return pendulum.from_format(f"{day} 06", "YYYY-MM-DD HH", tz="America/New_York")


@pytest.fixture(scope="module")
def alone(
    place: Place, told: subprocess.CompletedProcess[str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The data folder of an Airflow that has run the same days from the same landing data, and no Dagster."""
    assert told.returncode == 0
    home = tmp_path_factory.mktemp("alone")
    environment = {
        **foreign_environment(),
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "legacy_dags"),
        "PYTHONPATH": str(ROOT / "legacy_dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__SCHEDULER__CREATE_CRON_DATA_INTERVALS": "True",
        "PARITY_PROXIED_STATE": str(home / "no_marks"),
        "TAXI_DATA_DIR": str(home / "data"),
        "TAXI_LANDING_DIR": str(place.folder / "data" / "landing"),
        "TAXI_FIRST_DAY": DAYS[0],
        "TAXI_LAST_DAY": DAYS[-1],
        "TAXI_DBT_BIN_DIR": str(BIN),
    }
    programs = PROGRAMS[place.airflow]
    month = new_york("2024-03-01").at(0)
    windows = [(day, day.add(days=1)) for day in map(new_york, DAYS)]
    runs = [("taxi_ingest", month, month.add(months=1)), *(("taxi_daily", *window) for window in windows)]
    arguments = [word for dag_id, *window in runs for word in (dag_id, *(end.isoformat() for end in window))]
    for program in (
        [str(programs / "airflow"), "db", "migrate"],
        [str(programs / "python"), str(ROOT / "tests" / "journeys" / "run_alone.py"), *arguments],
    ):
        done = subprocess.run(
            program, env=environment, capture_output=True, text=True, timeout=1800, check=False
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return home / "data"


def test_the_tables_are_those_of_airflow_alone(place: Place, alone: Path) -> None:
    """After cutover, rollback, cutover and retirement the tables and files are those of an Airflow that ran alone."""
    ours, theirs = (folder / "legacy" for folder in (place.folder / "data", alone))

    with duckdb.connect() as connection:
        for name, folder in (("ours", ours), ("theirs", theirs)):
            connection.execute(f"attach '{folder / 'legacy.duckdb'}' as {name} (read_only)")
        for table in ("daily_metrics", "location_metrics"):
            sides = [f"from {name}.{table}" for name in ("ours", "theirs")]
            for one, other in (sides, reversed(sides)):
                assert connection.execute(f"({one}) except all ({other})").fetchall() == [], table
        days = connection.execute(
            "select distinct trip_date::varchar from ours.daily_metrics order by 1"
        ).fetchall()
    assert [day for (day,) in days] == [*DAYS]
    exports = sorted(path.name for path in (theirs / "export").iterdir())
    assert exports == [f"daily_metrics_{day}.csv" for day in DAYS]
    for name in exports:
        assert (ours / "export" / name).read_bytes() == (theirs / "export" / name).read_bytes(), name


def test_nothing_is_left_running(place: Place, told: subprocess.CompletedProcess[str]) -> None:
    """With --exit everything that was started has ended when the command returns."""
    assert told.returncode == 0
    assert eventually(lambda: place.processes() == [], 15), place.processes()


def test_two_demos_do_not_share_a_folder(place: Place, told: subprocess.CompletedProcess[str]) -> None:
    """A second demo in a folder where one runs is refused by name, and starts nothing."""
    held = "import sys, filelock\nwith filelock.FileLock(sys.argv[1]): print('held', flush=True); sys.stdin.read()"
    lock = place.folder.with_name(place.folder.name + ".lock")
    with GUARDIAN.start(
        [sys.executable, "-c", held, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        second = place.start()
        _, err = second.communicate(timeout=300)
        holder.communicate("")

    assert second.returncode == 1
    assert f"another demo is running in {place.folder}" in err
