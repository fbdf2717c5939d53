"""Conventions from values, and the traps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_defs.inventory import ModelTime, Trap, time_in
from dagster_defs.inventory.arguments import read_vars
from dagster_defs.inventory.holes import Holes
from dagster_defs.inventory.models import UpperBound
from dagster_defs.inventory.shell import read_script
from tests.support.inventory_samples import FakeProject, bash, codes, document, read, report, sampled, task

NEW_YORK = "America/New_York"


def with_vars(start: str, end: str) -> str:
    return f"""dbt run -s a --vars '{{"from_date": "{start}", "to_date": "{end}"}}'"""


@pytest.mark.parametrize(
    ("cron", "zone", "start", "end", "convention"),
    [
        ("0 0 * * *", "UTC", "{{ ds }}", "{{ macros.ds_add(ds, 1) }}", "half-open"),
        ("0 0 * * *", "UTC", "{{ ds }}", "{{ tomorrow_ds }}", "half-open"),
        ("0 0 * * *", "UTC", "{{ data_interval_start | ds }}", "{{ data_interval_end | ds }}", "half-open"),
        (
            "0 6 * * *",
            NEW_YORK,
            "{{ data_interval_start | ds }}",
            "{{ data_interval_end | ds }}",
            "half-open",
        ),
        ("0 * * * *", NEW_YORK, "{{ data_interval_start }}", "{{ data_interval_end }}", "half-open"),
        ("0 0 * * 1", "UTC", "{{ ds }}", "{{ data_interval_end | ds }}", "half-open"),
        ("0 0 * * *", "UTC", "{{ ds_nodash }}", "{{ tomorrow_ds_nodash }}", "half-open"),
        (
            "0 0 * * *",
            "UTC",
            "{{ data_interval_start | ds }}",
            "{{ data_interval_start | ds }}",
            "inclusive-day",
        ),
        ("0 0 * * *", "UTC", "{{ ds }} 00:00:00", "{{ ds }} 23:59:59", "inclusive-day"),
        ("0 0 * * 1", "UTC", "{{ ds }}", "{{ macros.ds_add(ds, 6) }}", "inclusive-day"),
        ("0 0 * * *", "UTC", "{{ yesterday_ds }}", "{{ ds }}", "previous-day"),
        ("0 3 * * 1", "UTC", "{{ yesterday_ds }}", "{{ ds }}", "previous-day"),
        ("0 0 * * *", "UTC", "{{ macros.ds_add(ds, -7) }}", "{{ ds }}", "irregular"),
        ("0 * * * *", "UTC", "{{ ds }}", "{{ ds }}", "irregular"),
        ("0 0 * * *", "UTC", "{{ ds[:7] }}", "{{ ds[:7] }}", "irregular"),
        (
            "0 * * * *",
            "UTC",
            "{{ data_interval_start.int_timestamp }}",
            "{{ data_interval_end.int_timestamp }}",
            "half-open",
        ),
        ("0 * * * *", "UTC", "{{ data_interval_start | ds }}", "{{ data_interval_end | ds }}", "irregular"),
        ("0 0 * * *", "UTC", "2020-01-01", "2030-01-01", "none"),
    ],
)
def test_conventions(cron: str, zone: str, start: str, end: str, convention: str) -> None:
    """The values of the sampled windows, held against these windows, name the convention."""
    unit = bash(with_vars(start, end), cron=cron, zone=zone)
    assert unit.window.convention.value == convention
    if convention != "none":
        assert (unit.window.start, unit.window.end, unit.window.carrier) == (start, end, "vars")


def test_names_do_not_decide() -> None:
    """Variables without telling names are told apart by their values."""
    unit = bash("""dbt run --vars '{"b": "{{ ds }}", "a": "{{ tomorrow_ds }}"}'""")
    assert (unit.window.convention, unit.window.start) == ("half-open", "{{ ds }}")


def test_event_time() -> None:
    """Event-time flags are the window, and their texts are kept."""
    unit = bash("dbt run --event-time-start {{ ds }} --event-time-end {{ macros.ds_add(ds, 1) }}")
    assert (unit.window.convention, unit.window.carrier) == ("event-time", "event-time")
    event_time = {"start": "{{ ds }}", "end": "{{ macros.ds_add(ds, 1) }}"}
    assert unit.invocations[0].event_time == event_time
    assert unit.invocations[0].rendered[0].event_time == {"start": "2024-02-29", "end": "2024-03-01"}


def test_event_time_through_the_environment() -> None:
    """dbt takes its options from DBT_* variables too."""
    unit = bash("DBT_EVENT_TIME_START={{ ds }} DBT_EVENT_TIME_END={{ tomorrow_ds }} dbt run")
    assert unit.window.convention == "event-time"


def test_no_window() -> None:
    """A command that is the same for every window has none."""
    assert bash("dbt run -s a --vars '{schema: x}'").window.convention == "none"


@pytest.mark.parametrize(
    ("needs", "text"),
    [
        ("dag_run.conf", "{{ dag_run.conf.get('batch_start_date', data_interval_start) }}"),
        ("ti.xcom_pull", "{{ ti.xcom_pull('window') }}"),
        ("var.value.start", "{{ var.value.start }}"),
        ("prev_data_interval_end_success", "{{ prev_data_interval_end_success }}"),
    ],
)
def test_window_that_only_a_run_knows(needs: str, text: str) -> None:
    """What conf, XCom, Variables and earlier runs decide is undetermined, with the reason of the exporter."""
    raw = with_vars(text, "{{ ds }}")
    command = with_vars("__undetermined__", "2024-03-01")
    sample = {
        "start": "2024-03-01T00:00:00+00:00",
        "end": "2024-03-02T00:00:00+00:00",
        "fields": {"bash_command": command},
        "undetermined": [{"field": "bash_command", "needs": needs, "reason": "only a run knows"}],
    }
    unit = report(document(task({"bash_command": raw}, samples=[sample]))).units[0]
    assert (unit.window.convention, unit.window_determined, unit.determined) == ("undetermined", False, False)
    assert unit.selection_determined
    assert needs.partition(".")[0] in unit.reason
    assert unit.window.start == text


@pytest.mark.parametrize(
    ("script", "masked"),
    [
        ("dbt run", False),
        ("dbt run || true", True),
        ("dbt run; echo done", True),
        ("dbt run | tee log", True),
        ("set -o pipefail; dbt run | tee log", False),
        ("set -euo pipefail\ndbt run | tee log\necho done", False),
        ("dbt run | tee log; exit ${PIPESTATUS[0]}", False),
        ("dbt run; ret=$?; echo $ret; exit $ret", False),
        ("dbt run; ret=$?; echo $ret", True),
        ("set -e\ndbt run\necho done", False),
        ("set -e; set +e; dbt run; echo done", True),
        ("set -e\nif dbt run; then echo fine; fi", True),
        ("dbt run && echo fine || echo bad", True),
        ("if ! dbt run; then exit 1; fi; echo fine", False),
        ("dbt run || exit 1; echo fine", False),
        ("dbt run || { echo bad; exit 2; }", False),
        ("dbt run || dbt run --full-refresh", False),
        ("dbt run & wait", True),
        ("dbt run; a=$?; dbt test; b=$?; exit $((a + b))", False),
        ("dbt run; [ $? -eq 0 ] || exit 1", False),
        ("(dbt run)", False),
        ("bash -c 'dbt run; true'", True),
        ("export X=$(dbt run)", True),
        ("X=$(dbt run)", False),
        ("until dbt run; do sleep 1; done", False),
        ("set -o pipefail && dbt run 2>&1 | tee log", False),
        ("cd /app && dbt run 2>&1 | tee log", True),
        ("dbt run; exit 0", True),
        ("set -e\ndbt run || true", True),
        ("trap 'exit 0' ERR; dbt run", True),
        ("trap 'echo bad' ERR; dbt run", False),
        ("trap 'exit 0' EXIT; dbt run", True),
        ("end() { rc=$?; rm -f x; exit $rc; }; trap end EXIT; dbt run", False),
        ("trap 'rm -f x' EXIT; dbt run", False),
        ("dbt run & pid=$!; wait $pid", False),
        ("dbt run & p=$!; dbt test & q=$!; wait $p && wait $q", False),
        ("bash -e <<EOF\ndbt run\necho done\nEOF", False),
    ],
)
def test_masked_failures(script: str, masked: bool) -> None:
    """A failing dbt call leaves the task green exactly where a shell would end with 0."""
    unit = bash(script)
    assert unit.masks_failure is masked
    assert ("masked-failure" in codes(unit)) is masked


def test_only_the_forgiven_call_is_masked() -> None:
    """In a chain, `|| true` behind the tests does not hide a failing run."""
    reading = read_script("dbt run && (dbt test || true)", Holes())
    assert [call.key in reading.masked for call in reading.calls] == [False, True]


def test_exit_code_99() -> None:
    """A failing dbt call that ends the script with 99 is a skipped task, not a failed one."""
    assert codes(bash("dbt run || exit 99")) == ["skip-exit-code"]
    assert codes(bash("dbt run || exit 99", settings={"skip_on_exit_code": [42]})) == []


@pytest.mark.parametrize(
    ("cron", "zone", "start", "trap"),
    [
        ("0 21 * * *", NEW_YORK, "{{ ds }}", True),
        ("30 0 * * *", "Asia/Kolkata", "{{ ds }}", True),
        ("0 6 * * *", NEW_YORK, "{{ ds }}", True),
        ("0 6 * * *", NEW_YORK, "{{ data_interval_start | ds }}", False),
        ("0 21 * * *", NEW_YORK, "{{ data_interval_start.in_timezone('America/New_York') | ds }}", False),
        ("0 0 * * *", "UTC", "{{ ds }}", False),
    ],
)
def test_utc_dates(cron: str, zone: str, start: str, trap: bool) -> None:
    """`ds` is the UTC date: a trap only where the local date is another one."""
    command = f"""dbt run --vars '{{"start": "{start}", "end": "{{{{ data_interval_end | ts }}}}"}}'"""
    assert ("utc-date" in codes(bash(command, cron=cron, zone=zone))) is trap


def test_empty_window() -> None:
    """A cron trigger schedule gives windows of zero length."""
    sample = {
        "start": "2024-03-01T00:00:00+00:00",
        "end": "2024-03-01T00:00:00+00:00",
        "fields": {"bash_command": with_vars("2024-02-29", "2024-03-01")},
    }
    made = task({"bash_command": with_vars("{{ yesterday_ds }}", "{{ ds }}")}, samples=[sample])
    unit = report(document(made, kind="cron-trigger", empty=True)).units[0]
    assert codes(unit) == ["empty-window"]
    assert unit.window.convention == "previous-day"


def test_overlap() -> None:
    """Units that build one model name each other; tests of it do not count."""
    project = FakeProject(
        {"a": ["model.s.x", "test.s.t"], "b": ["model.s.x", "model.s.y"], "c": ["test.s.t"]}
    )
    fields = [{"bash_command": f"dbt build -s {name}"} for name in "abc"]
    tasks = [task(f, name=n, samples=sampled(f)) for f, n in zip(fields, "abc", strict=True)]
    units = report(document(*tasks), project).units
    assert [[w.message for w in unit.warnings] for unit in units] == [
        ["shop.b builds x too"],
        ["shop.a builds x too"],
        [],
    ]


@pytest.mark.parametrize(
    "command",
    [
        "if [ $(date +%u) = 7 ]; then dbt run --full-refresh; else dbt run; fi",
        "dbt run {{ '--full-refresh' if params.full_refresh else '' }}",
        "dbt run {% if params.full_refresh %}--full-refresh{% endif %}",
        "dbt run || dbt run --full-refresh",
    ],
)
def test_full_refresh_on_a_branch(command: str) -> None:
    """A full refresh that depends on a condition is a trap, however the condition is said."""
    unit = bash(command, params={"full_refresh": False})
    assert "full-refresh-on-branch" in codes(unit)
    assert unit.determined, unit.reason
    assert codes(bash("dbt run --full-refresh")) == []


def test_overlap_of_many() -> None:
    """Many units that build one model are one warning of each."""
    fields = {"bash_command": "dbt run -s a"}
    tasks = [task(fields, name=name, samples=sampled(fields)) for name in "abcde"]
    units = report(document(*tasks), FakeProject({"a": ["model.s.x"]})).units
    assert [w.message for w in units[0].warnings] == ["shop.b, shop.c, shop.d and 1 more build x too"]


def test_depends_on_past_and_date_objects() -> None:
    """Both are named: one window waits for another, and an unquoted date is not text."""
    unit = bash("dbt run --vars '{start: {{ ds }}, end: {{ tomorrow_ds }}}'", depends_on_past=True)
    assert codes(unit) == ["depends-on-past", "date-object"]


@pytest.mark.parametrize(
    "given",
    ['"$DBT_VARS"', '"$(cat vars.yml)"', "'no mapping'", "'{a: [1,2}'", "'{{ params.vars }}'"],
)
def test_vars_that_nobody_can_read(given: str) -> None:
    """Variables that come as a whole from elsewhere may hold the window: it is undetermined."""
    unit = bash(f"dbt run -s a --vars {given}", params={"vars": "start: 2024-01-01"})
    assert (unit.window.convention, unit.window_determined) == ("undetermined", False)
    assert unit.selection_determined
    assert unit.reason.count("vars: ") == 1


def test_target_of_a_person() -> None:
    """A target from params leaves the unit undetermined, and its selection and window known."""
    unit = bash("dbt run -s a --target {{ params.target }}", params={"target": "prod"})
    assert (unit.determined, unit.selection_determined, unit.window_determined) == (False, True, True)
    assert "who triggers a run decides it" in unit.reason


def test_the_last_vars_win() -> None:
    """Of several `--vars` dbt reads the last one alone."""
    unit = bash("dbt run --vars '{start: x}' --vars '{end: \"{{ ds }}\"}'")
    assert dict(unit.invocations[0].vars) == {"end": "{{ ds }}"}


@pytest.mark.parametrize(
    "command",
    [
        with_vars("{{ macros.ds_add(ds, -7) }}", "{{ ds }}"),
        "dbt run -s a --event-time-start {{ macros.ds_add(ds, -7) }} --event-time-end {{ ds }}",
        "START={{ macros.ds_add(ds, -7) }} END={{ ds }} dbt run -s a",
    ],
)
def test_irregular_windows(command: str) -> None:
    """Bounds that are neither the window nor its day are a warning, whatever carries them."""
    assert codes(bash(command)) == ["irregular-window"]


def test_several_windows() -> None:
    """Calls of one task with other windows than the first are named."""
    unit = bash(
        f"{with_vars('{{ ds }}', '{{ tomorrow_ds }}')} && {with_vars('{{ yesterday_ds }}', '{{ ds }}')}"
    )
    assert codes(unit) == ["several-windows"]
    assert "from_date, to_date" in unit.warnings[0].message


def test_upper_bound_through_the_environment() -> None:
    """A model that includes an exclusive end is a trap also where the environment carries the window."""
    code = "select 1 where d between '{{ env_var(\"START\") }}' and '{{ env_var(\"END\") }}'"
    project = FakeProject({"a": ["model.s.x"]}, {"model.s.x": time_in(code)})
    unit = bash("START={{ ds }} END={{ tomorrow_ds }} dbt run -s a", project=project)
    assert (unit.window.convention, codes(unit)) == ("env-only", ["inclusive-upper-bound"])


def test_nothing_selected() -> None:
    """A selection that matches nothing is a warning, not an error."""
    assert codes(bash("dbt run -s a", project=FakeProject({"a": []}))) == ["selects-nothing"]


BETWEEN = (
    "select * from {{ ref('x') }} where d between '{{ var(\"from_date\") }}' and '{{ var(\"to_date\") }}'"
)
LESS = "select * from {{ ref('x') }} where d >= {{ var('from_date') }} and d < cast('{{ var(\"to_date\") }}' as date)"


@pytest.mark.parametrize(
    ("code", "end", "expected"),
    [
        (BETWEEN, "{{ tomorrow_ds }}", ["inclusive-upper-bound"]),
        (BETWEEN, "{{ ds }}", []),
        (LESS, "{{ tomorrow_ds }}", []),
        (LESS, "{{ ds }}", ["exclusive-upper-bound"]),
    ],
)
def test_upper_bounds(code: str, end: str, expected: list[str]) -> None:
    """A model that includes an exclusive end counts a day twice; one that excludes an inclusive end leaves it out."""
    project = FakeProject({"a": ["model.s.x"]}, {"model.s.x": time_in(code)})
    assert codes(bash(with_vars("{{ ds }}", end), project=project)) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("select 1", ModelTime()),
        ("{% if is_incremental() %} where t > (select max(t) from {{ this }}) {% endif %}", ModelTime(watermark=True)),
        ("select coalesce(max(a), 0) from {{ this }}", ModelTime(watermark=True)),
        ("select max(a) from {{ ref('b') }}", ModelTime()),
        ("select a from {{ this }}", ModelTime()),
        ("select * from x where d < '{{ run_started_at }}'", ModelTime(wall_clock=True)),
        ("select current_timestamp as loaded_at", ModelTime(wall_clock=True)),
        ("select now()", ModelTime(wall_clock=True)),
        ("select {{ dbt.current_timestamp() }}", ModelTime(wall_clock=True)),
        ("select 'now' as word -- current_timestamp", ModelTime()),
        ("{% set e = var('e') %} select 1 where d <= '{{ e }}'", ModelTime(uppers=(("e", UpperBound.INCLUSIVE),))),
        ("{% if broken", ModelTime()),
        ("select max(t) from {{ this.schema }}.{{ this.identifier }}", ModelTime(watermark=True)),
        ("{% set last = run_query('select max(t) from ' ~ this) %} select 1", ModelTime(watermark=True)),
        ("{{ newest_row(this) }}", ModelTime()),
        ("select 1 where '{{ var(\"e\") }}' >= d", ModelTime(uppers=(("e", UpperBound.INCLUSIVE),))),
    ],
)  # fmt: skip
def test_time_in_models(code: str, expected: ModelTime) -> None:
    """Watermarks and clocks are seen in the code, not in comments or texts."""
    assert time_in(code) == expected


def test_self_windowed_models_warn() -> None:
    """Models that take the window by themselves are named on the unit."""
    times = {"model.s.x": ModelTime(watermark=True), "model.s.y": ModelTime(wall_clock=True)}
    unit = bash("dbt run -s a", project=FakeProject({"a": [*times]}, times))
    assert codes(unit) == ["watermark", "wall-clock"]


NAMES = st.text("abcdefghij_", min_size=1, max_size=8)
VALUES = st.one_of(st.integers(-9, 9), st.booleans(), st.text("abc xyz-:{}\"'$`\\#&", max_size=12))


@given(st.dictionaries(NAMES, VALUES, max_size=4), st.booleans())
def test_quoting_does_not_change_vars(mapping: dict[str, object], single: bool) -> None:
    """Law: a mapping, written as JSON and quoted for the shell either way, is read back as it was."""
    import json
    import shlex

    text = json.dumps(mapping)
    quoted = shlex.quote(text) if single else '"' + re.sub(r'([\\"$`])', r"\\\1", text) + '"'
    [call] = read_script(f"dbt run --vars {quoted}", Holes()).calls
    assert read_vars(call.program.arguments[-1]) == mapping


@given(st.lists(st.text("ab c'\"$\\;|&()<>\n", min_size=1, max_size=6), max_size=4))
def test_words_survive_the_shell(words: list[str]) -> None:
    """Law: words that are quoted for a shell come back from our reading of it."""
    import shlex

    [call] = read_script("dbt " + shlex.join(["run", *words]), Holes()).calls
    assert list(call.program.arguments) == ["run", *words]


@given(st.text("dbt run;|&(){}'\"$\n<>\\[]! if then fi do done=1", max_size=40))
def test_any_text_is_read(text: str) -> None:
    """Law: no shell text makes the reader fail or hang."""
    read_script(text, Holes())


def test_every_trap_is_documented() -> None:
    """The codes of the reference are those that there are."""
    reference = (Path(__file__).parents[2] / "docs" / "reference.md").read_text()
    section = reference.partition("### `parity inventory`")[2].partition("### `parity verify`")[0]
    assert set(re.findall(r"^\| `([a-z][a-z-]+)` \|", section, re.MULTILINE)) == {trap.value for trap in Trap}


def test_json_shape() -> None:
    """The keys are those that the issue documents."""
    unit = read({"bash_command": "dbt run -s a"}).as_json()
    assert set(unit) == {
        "dag_id", "task_id", "kind", "kinds", "determined", "selection_determined", "window_determined", "reason",
        "window", "masks_failure", "warnings", "invocations",
    }  # fmt: skip
    assert set(unit["window"]) == {"convention", "start", "end", "carrier"}
    [invocation] = unit["invocations"]
    assert set(invocation) == {
        "command", "select", "exclude", "selector", "full_refresh", "target", "models", "vars", "env", "event_time",
        "rendered",
    }  # fmt: skip
    assert set(invocation["rendered"][0]) == {"start", "end", "vars", "env", "event_time"}


@pytest.mark.parametrize("value", ["{{ ds }}", "{{ data_interval_start }}"])
def test_one_value_says_no_hour(value: str) -> None:
    """A trap of its own words: it may be the window's day, or its start, and still say no window."""
    unit = bash(f"""dbt run --vars '{{"at": "{value}"}}'""", cron="0 * * * *")

    [warning] = [each for each in unit.warnings if each.code.value == "irregular-window"]
    assert warning.message == f"{value}: one value alone says no window that is shorter than a day"
