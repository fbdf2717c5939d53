"""The installed Airflow's own answers beside ours. Airflow runs in its own environment, see
`airflow_oracle.py`."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from dagster_defs.adapters.dagster.partitions import definition_of, partitioned
from dagster_defs.errors import DoesNotAdvance, ScheduleRefused
from dagster_defs.windows import Schedule, TemplateContext, Window, compile_template
from tests.support.estate import AIRFLOW_PYTHON

ROOT = Path(__file__).parents[2]

CRONS = [
    "@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly",
    "0 6 * * *", "30 2 * * *", "30 1 * * *", "59 23 * * *", "30 0 * * *", "15 3 * * *",
    "0 2 * * 0", "30 0 * * 5", "30 2 1 * *", "0 0 31 * *",
    "30 * * * *", "*/15 * * * *", "0 */2 * * *", "5 0-6/2 * * *", "30 1-3 * * *", "15,45 2 * * *",
    "0 9-17 * * MON-FRI", "0 * * * 1-5", "30 2 29 2 *", "0 2 */2 * *",
]  # fmt: skip
ZONES = [
    "UTC", "America/New_York", "Europe/Berlin", "Europe/London", "America/St_Johns", "Africa/Casablanca",
    "Asia/Beirut", "Africa/Cairo", "America/Santiago", "America/Havana", "Asia/Kolkata", "Asia/Kathmandu",
    "Australia/Lord_Howe", "Australia/Adelaide", "Pacific/Chatham", "America/Nuuk", "Pacific/Apia",
]  # fmt: skip
# Around every clock change of these zones in a year and a half, and a leap day.
SPANS = [
    ("2023-10-26", "2023-11-08"), ("2024-02-27", "2024-04-23"), ("2024-09-06", "2024-09-09"),
    ("2024-09-28", "2024-10-07"), ("2024-10-25", "2024-11-05"), ("2025-02-21", "2025-04-08"),
]  # fmt: skip
# Several windows a day: only the days around a change.
DENSE_SPANS = [
    ("2023-10-28", "2023-10-30"), ("2023-11-03", "2023-11-07"), ("2024-03-09", "2024-03-12"),
    ("2024-03-30", "2024-04-01"), ("2024-04-05", "2024-04-08"),
]  # fmt: skip
FEW_ZONES = ["America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Cairo"]

TEXTS = [
    "{{ data_interval_start }} {{ data_interval_end }} {{ logical_date }} {{ execution_date }}",
    "{{ data_interval_start | ds }} {{ data_interval_end | ds_nodash }} {{ logical_date | ts }}",
    "{{ logical_date | ts_nodash }} {{ data_interval_end | ts_nodash_with_tz }}",
    "{{ ds }} {{ ds_nodash }} {{ ts }} {{ ts_nodash }} {{ ts_nodash_with_tz }}",
    "{{ yesterday_ds }} {{ yesterday_ds_nodash }} {{ tomorrow_ds }} {{ tomorrow_ds_nodash }}",
    "{{ prev_ds }} {{ prev_ds_nodash }} {{ prev_execution_date }}",
    "{{ next_ds }} {{ next_ds_nodash }} {{ next_execution_date }}",
    "{{ run_id }} {{ task_instance_key_str }} {{ test_mode }}",
    "{{ dag.dag_id }} {{ dag.safe_dag_id }} {{ dag.timezone }} {{ dag.timezone.name }}",
    "{{ dag.start_date }} {{ dag.end_date }} {{ task.task_id }} {{ task.dag_id }}",
    "{{ dag_run.run_id }}",
    "{{ dag_run.run_type }}",
    "{{ dag_run.logical_date }}",
    "{{ dag_run.data_interval_end }}",
    "{{ ti.task_id }} {{ task_instance.dag_id }} {{ ti.run_id }} {{ dag_run.external_trigger }}",
    "{{ params.days }}",
    "{{ params['name'] }}",
    "{{ params.get('none', 'd') }}",
    "{{ params }}",
    "{{ dag.params.days }}",
    "{{ macros.ds_add(ds, -params.days) }}",
    "{{ macros.ds_add(ds, 0) }}",
    "{{ macros.ds_format(ds, '%Y-%m-%d', '%d/%m/%y') }}",
    "{{ (data_interval_start + macros.timedelta(hours=5)) | ts }}",
    "{{ data_interval_end - macros.timedelta(days=1) }}",
    "{{ macros.datetime.strptime(ds, '%Y-%m-%d').strftime('%A') }}",
    "{{ macros.datetime(2024, 1, 2).isoformat() }}",
    "{{ macros.dateutil.parser.parse(ds) }} {{ macros.json.dumps({'a': ds}) }}",
    "{{ data_interval_start + macros.dateutil.relativedelta.relativedelta(months=1) }}",
    "{{ macros.datetime_diff_for_humans(data_interval_start, data_interval_end) }}",
    "{{ data_interval_start.in_timezone(dag.timezone) }}",
    "{{ data_interval_end.in_tz('Asia/Kolkata').to_date_string() }}",
    "{{ logical_date.subtract(days=1).start_of('month').format('YYYY/MM/DD') }}",
    "{{ logical_date.int_timestamp }}",
    "{{ data_interval_end.strftime('%Y-%m-%dT%H:%M:%S%z') }}",
    "{{ data_interval_start.weekday() }}",
    "{{ logical_date.day_of_week }}",
    "{{ (data_interval_end - data_interval_start).total_seconds() }}",
    "{% if logical_date.day == 1 %}full{% else %}{{ ds | replace('-', '') }}{% endif %}",
    "{% set d = data_interval_start %}{{ d.add(days=2) | ds }}",
    "{% for n in range(2) %}{{ macros.ds_add(ds, n) }},{% endfor %}",
    '{"min_date": "{{ data_interval_start | ds }}", "max_date": "{{ data_interval_end | ds }}"}',
    "plain text {# a comment #}\n",
    "{% raw %}{{ ds }}{% endraw %} {{ ds[:4] ~ '/' ~ ds[5:7] }} {{ ds.split('-') | join('') }}",
    "{{ data_interval_start.isoformat() }}",
    "{{ data_interval_start.to_iso8601_string() }}",
    "{{ data_interval_start.timestamp() }}",
    "{{ data_interval_start.replace(hour=0, minute=0) }}",
    "{{ data_interval_start.date() }}",
    "{{ data_interval_start.timezone_name }}",
]  # fmt: skip
PARAMS: Mapping[str, Any] = {"days": 3, "name": "taxi"}
RENDERED = [
    ("0 6 * * *", "America/New_York", "2024-03-08"),
    ("0 21 * * *", "America/New_York", "2024-11-01"),
    ("30 0 * * *", "Asia/Kolkata", "2024-02-27"),
    ("30 2 * * *", "America/New_York", "2024-03-08"),
    ("@hourly", "America/New_York", "2024-11-03"),
    ("@monthly", "Europe/Berlin", "2024-01-01"),
    ("@weekly", "UTC", "2023-12-20"),
]


def ask_airflow(question: Mapping[str, Any], home: Path) -> Any:
    python = AIRFLOW_PYTHON
    assert python.exists(), f"{python} is missing: make setup"
    done = subprocess.run(
        [str(python), str(Path(__file__).with_name("airflow_oracle.py"))],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
        env={**os.environ, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def spans(cron: str, zone: str) -> list[tuple[str, str]]:
    if Schedule.of(cron, zone, "2024-01-01").once_a_day:
        return SPANS
    return DENSE_SPANS if "*/15" not in cron or zone in FEW_ZONES else []


CASES = [
    {"cron": cron, "timezone": zone, "from": f"{start}T00:00:00+00:00", "until": f"{until}T00:00:00+00:00"}
    for cron, zone in product(CRONS, ZONES)
    for start, until in spans(cron, zone)
]


@dataclass(frozen=True)
class Walk:
    """A schedule over a span, Airflow's windows, and whether Airflow then comes back to time it has
    covered."""

    case: Mapping[str, str]
    windows: list[Window]
    stuck: bool

    @property
    def until(self) -> datetime:
        return datetime.fromisoformat(self.case["until"])


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> list[Walk]:
    answers = ask_airflow({"windows": CASES, "renders": []}, tmp_path_factory.mktemp("airflow"))["windows"]
    return [
        Walk(case, [Window.between(*window) for window in answer["windows"]], answer["stuck"])
        for case, answer in zip(CASES, answers, strict=True)
    ]


def ours(schedule: Schedule, until: datetime) -> tuple[list[Window], bool]:
    found: list[Window] = []
    walk = schedule.windows(until=until)
    while True:
        try:
            found.append(next(walk))
        except StopIteration:
            return found, False
        except DoesNotAdvance:
            return found, True


@pytest.mark.airflow
def test_windows_equal_those_of_airflow_own_timetable(walks: list[Walk]) -> None:
    """Every window of every cron, zone and span is the one that Airflow's CronDataIntervalTimetable
    schedules, and we stop with a clear error exactly where it comes back to time it has covered."""
    compared = 0
    for walk in walks:
        schedule = Schedule.of(walk.case["cron"], walk.case["timezone"], walk.case["from"])
        assert ours(schedule, walk.until) == (walk.windows, walk.stuck), walk.case
        compared += len(walk.windows)
    assert compared > 30_000
    assert any(walk.stuck for walk in walks)
    print(f"{compared} windows of {len(walks)} walks compared")  # noqa: T201 - shown with -s


@pytest.mark.airflow
def test_partition_keys_pair_off_with_airflow_windows(walks: list[Walk]) -> None:
    """The partitions that Dagster offers have, in order, exactly Airflow's windows, and each gives its key
    back."""
    compared = 0
    for walk in walks:
        if walk.stuck or not walk.windows:
            continue
        case = walk.case
        schedule = Schedule.of(case["cron"], case["timezone"], case["from"], case["until"])
        try:
            partitions = partitioned(schedule)
        except ScheduleRefused as refusal:
            assert case["timezone"] == "Australia/Lord_Howe", refusal  # noqa: PT017 - by zone
            assert schedule.cron.endswith(" * * * *"), refusal  # noqa: PT017 - and hourly only
            continue
        definition = definition_of(partitions)
        later = walk.until + timedelta(days=3000)
        keys = {key: partitions.window_of(key) for key in definition.get_partition_keys(later)}
        # Airflow's end is inclusive, the span is not.
        keys = {key: window for key, window in keys.items() if window.start < walk.until}
        with_key = [window for window in walk.windows if window not in partitions.keyless_windows]
        assert list(keys.values()) == with_key, case
        assert [partitions.key_of(window) for window in with_key] == list(keys), case
        compared += len(keys)
    assert compared > 30_000
    print(f"{compared} keys compared")  # noqa: T201 - shown with -s


@pytest.mark.airflow
def test_delta_windows_equal_those_of_airflow_anchored_at_the_start(tmp_path: Path) -> None:
    """A timedelta schedule has the windows that Airflow counts from its start date."""
    minutes = [15, 30, 60, 6 * 60, 24 * 60, 7 * 24 * 60]
    start, until = "2024-03-08T05:07:00+00:00", "2024-03-30T00:00:00+00:00"
    cases = [{"delta": each * 60, "timezone": "UTC", "from": start, "until": until} for each in minutes]
    answers = ask_airflow({"windows": cases, "renders": []}, tmp_path)["windows"]
    for each, answer in zip(minutes, answers, strict=True):
        windows, _ = ours(Schedule.every(timedelta(minutes=each), start), datetime.fromisoformat(until))
        assert windows == [Window.between(*window) for window in answer["windows"]], each


@pytest.mark.airflow
def test_rendered_texts_equal_those_of_airflow_own_engine(tmp_path: Path) -> None:
    """Every template text renders to the same string as in Airflow's own template engine, window for
    window."""
    windows = {case: list(zip(Schedule.of(*case).windows(), range(14), strict=False)) for case in RENDERED}
    question = [
        {
            "cron": cron,
            "timezone": zone,
            "start": start,
            "params": dict(PARAMS),
            "windows": [[w.start.isoformat(), w.end.isoformat()] for w, _ in windows[cron, zone, start]],
            "texts": TEXTS,
        }
        for cron, zone, start in RENDERED
    ]
    answers = ask_airflow({"windows": [], "renders": question}, tmp_path)["renders"]
    templates = [compile_template(text, PARAMS) for text in TEXTS]
    for case, answer in zip(RENDERED, answers, strict=True):
        context = TemplateContext(Schedule.of(*case), "oracle", "unit", PARAMS)
        for (window, _), texts in zip(windows[case], answer, strict=True):
            assert [template.render(window, context) for template in templates] == texts, (case, str(window))
