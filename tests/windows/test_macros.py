"""Airflow's template text on a window: literal values, what is refused by name, and the walls of the
sandbox."""

import pytest

from dagster_defs.errors import TemplateBroken, TemplateFailed, TemplateRefused
from dagster_defs.windows import Schedule, TemplateContext, Window, compile_template

# 21:00 New York: already the next day in UTC.
SCHEDULE = Schedule.of("0 21 * * *", "America/New_York", "2024-01-01")
WINDOW = Window.between("2024-03-05T21:00-05:00", "2024-03-06T21:00-05:00")
CONTEXT = TemplateContext(SCHEDULE, "taxi.daily", "dbt_daily", {"days": 3, "target": "prod"})


def rendered(text: str) -> str:
    return compile_template(text, CONTEXT.params).render(WINDOW, CONTEXT)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("data_interval_start", "2024-03-06 02:00:00+00:00"),
        ("data_interval_end", "2024-03-07 02:00:00+00:00"),
        ("logical_date", "2024-03-06 02:00:00+00:00"),
        ("execution_date", "2024-03-06 02:00:00+00:00"),
        ("ds", "2024-03-06"),
        ("ds_nodash", "20240306"),
        ("ts", "2024-03-06T02:00:00+00:00"),
        ("ts_nodash", "20240306T020000"),
        ("ts_nodash_with_tz", "20240306T020000+0000"),
        ("yesterday_ds", "2024-03-05"),
        ("yesterday_ds_nodash", "20240305"),
        ("tomorrow_ds", "2024-03-07"),
        ("tomorrow_ds_nodash", "20240307"),
        ("prev_ds", "2024-03-05"),
        ("prev_ds_nodash", "20240305"),
        ("prev_execution_date", "2024-03-05 02:00:00+00:00"),
        ("next_ds", "2024-03-07"),
        ("next_ds_nodash", "20240307"),
        ("next_execution_date", "2024-03-07 02:00:00+00:00"),
        ("run_id", "scheduled__2024-03-06T02:00:00+00:00"),
        ("task_instance_key_str", "taxi.daily__dbt_daily__20240306"),
        ("test_mode", "False"),
        ("dag.dag_id", "taxi.daily"),
        ("dag.safe_dag_id", "taxi__dot__daily"),
        ("dag.timezone", "America/New_York"),
        ("dag.start_date", "2024-01-01 05:00:00+00:00"),
        ("task.task_id", "dbt_daily"),
        ("dag_run.run_type", "scheduled"),
        ("dag_run.data_interval_end | ds", "2024-03-07"),
        ("ti.run_id", "scheduled__2024-03-06T02:00:00+00:00"),
        ("params.days", "3"),
        ("params['target']", "prod"),
        ("params.get('absent', 'dev')", "dev"),
        ("macros.ds_add(ds, -1)", "2024-03-05"),
        ("macros.ds_add('2024-02-28', 2)", "2024-03-01"),
        ("macros.ds_format(ds, '%Y-%m-%d', '%d.%m.%Y')", "06.03.2024"),
        ("(data_interval_start - macros.timedelta(days=1)) | ds", "2024-03-05"),
        ("macros.datetime(2024, 1, 2) | ts", "2024-01-02T00:00:00"),
        ("macros.dateutil.parser.parse(ds).year", "2024"),
        ("macros.dateutil.relativedelta.relativedelta(days=2).days", "2"),
        ("macros.datetime_diff_for_humans(data_interval_start, data_interval_end)", "1 day before"),
        ("macros.json.dumps([1])", "[1]"),
        ("macros.yaml.safe_load('a: 1').a", "1"),
        ("data_interval_start | ds_nodash", "20240306"),
        ("data_interval_start | ts", "2024-03-06T02:00:00+00:00"),
        ("data_interval_start | ts_nodash", "20240306T020000"),
        ("data_interval_start | ts_nodash_with_tz", "20240306T020000+0000"),
        ("data_interval_start.in_timezone('America/New_York') | ds", "2024-03-05"),
        ("data_interval_start.in_tz(dag.timezone).to_date_string()", "2024-03-05"),
    ],
)
def test_every_name_has_the_value_that_airflow_gives_it(expression: str, value: str) -> None:
    """A documented variable, macro or filter renders to the literal text that Airflow 2.11 renders."""
    assert rendered("{{ " + expression + " }}") == value


@pytest.mark.parametrize(
    ("expression", "needs"),
    [
        ("prev_data_interval_end_success", "prev_data_interval_end_success"),
        ("prev_data_interval_start_success | ds", "prev_data_interval_start_success"),
        ("prev_start_date_success", "prev_start_date_success"),
        ("dag_run.conf.get('start', ds)", "dag_run.conf"),
        ("dag_run.conf['start']", "dag_run.conf"),
        ("dag_run", "dag_run"),
        ("ti.xcom_pull(task_ids='a')", "ti.xcom_pull"),
        ("task_instance.xcom_pull('a')", "task_instance.xcom_pull"),
        ("task_instance", "task_instance"),
        ("ti.try_number", "ti.try_number"),
        ("var.value.bucket", "var.value.bucket"),
        ("var.json.settings['a']", "var.json.settings"),
        ("var['value']['bucket']", "var.value.bucket"),
        ("conn.warehouse.host", "conn.warehouse"),
        ("conf.get('core', 'fernet_key')", "conf.get"),
        ("triggering_dataset_events", "triggering_dataset_events"),
        ("dag", "dag"),
        ("dag.owner", "dag.owner"),
        ("dag.get_task('x')", "dag.get_task"),
        ("macros", "macros"),
        ("macros.random()", "macros.random"),
        ("macros.uuid.uuid4()", "macros.uuid"),
        ("macros.time.time()", "macros.time"),
        ("macros[ds]", "macros"),
        ("our_macro(ds)", "our_macro"),
        ("params.absent", "params.absent"),
        ("dag.params['absent']", "params.absent"),
        ("ds | our_filter", "the filter our_filter"),
        ("[1, 2] | random", "the filter random"),
        ("1 is our_test", "the test our_test"),
        ("lipsum()", "lipsum"),
        ("data_interval_start.now()", "data_interval_start.now"),
        ("macros.datetime.utcnow()", "macros.datetime.utcnow"),
        ("macros.datetime.today()", "macros.datetime.today"),
        (
            "data_interval_start.diff_for_humans()",
            "data_interval_start.diff_for_humans() without an argument",
        ),
        (
            "macros.datetime_diff_for_humans(logical_date)",
            "macros.datetime_diff_for_humans() without an argument",
        ),
    ],
)
def test_a_template_that_needs_more_is_refused_by_name_when_it_is_read(expression: str, needs: str) -> None:
    """What only Airflow, history, a person or the clock knows is refused before any window is there."""
    with pytest.raises(TemplateRefused) as caught:
        compile_template("--vars {{ " + expression + " }}", CONTEXT.params)
    assert caught.value.needs == needs
    assert f"needs {needs}: " in str(caught.value)


def test_a_need_is_found_in_every_corner_of_a_template() -> None:
    """Branches, loops, assignments and arguments are searched too, not only what is printed."""
    for text in (
        "{% if var.value.full %}x{% endif %}",
        "{% for row in ti.xcom_pull('a') %}{{ row }}{% endfor %}",
        "{% set start = dag_run.conf['x'] %}{{ start }}",
        "{{ macros.ds_add(conn.a.extra, 1) }}",
        "{{ ds if dag_run.conf else ts }}",
        "{% set d = dag_run %}{{ d.conf }}",
    ):
        with pytest.raises(TemplateRefused):
            compile_template(text)


def test_a_template_may_have_variables_of_its_own() -> None:
    """A name that the template sets itself is no need."""
    assert rendered("{% set conn = ds %}{% for ti in range(2) %}{{ conn }}{{ ti }} {% endfor %}") == (
        "2024-03-060 2024-03-061 "
    )


@pytest.mark.parametrize(
    "text", ["{{ ds", "{% if ds %}", "{{ ds | }}", "{% frobnicate %}", "{{ 1 + }}", "a\n{{ ) }}"]
)
def test_a_syntax_error_is_told_with_its_line(text: str) -> None:
    """Broken Jinja is refused when it is read, with text, line and reason."""
    with pytest.raises(TemplateBroken) as caught:
        compile_template(text)
    assert caught.value.line == text.count("\n") + 1
    assert caught.value.reason


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ ''['__class__'] }}",
        "{{ ds.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os }}",
        "{{ macros.ds_add.__globals__ }}",
        "{{ macros.json.__loader__ }}",
        "{{ macros.datetime._private }}",
        "{% include '/etc/passwd' %}",
        "{% import 'x' as y %}",
        "{% from 'x' import y %}",
        "{% extends ds %}",
        "{{ ds | attr('__class__') }}",
        "{{ ds | attr('__cl' ~ 'ass__') }}",
        "{{ [ds] | map(attribute='__class__') | join }}",
        "{{ '{0.__class__}'.format(ds) }}",
        "{{ ds['__cl' ~ 'ass__'] }}",
        "{{ data_interval_start | attr('now') }}",
        "{{ self._TemplateReference__context }}",
    ],
)
def test_nothing_leaves_the_sandbox(text: str) -> None:
    """Private attributes, files and the clock stay out of reach, however they are spelled."""
    with pytest.raises((TemplateRefused, TemplateFailed)):
        rendered(text)


def test_params_of_one_rendering_do_not_leak_into_the_next() -> None:
    """A template that changes its params changes a copy."""
    assert rendered("{% do params.update(days=9) %}{{ params.days }}") == "9"
    assert rendered("{{ params.days }}") == "3"


def test_an_expression_that_fails_names_window_and_reason() -> None:
    """A failure that only shows on a window says which window."""
    with pytest.raises(TemplateFailed, match="2024-03-06T02:00:00") as caught:
        rendered("{{ macros.ds_add('not a date', 1) }}")
    assert "does not match format" in caught.value.reason
    assert caught.value.kind == "window"
    with pytest.raises(TemplateFailed, match="would take from today's"):
        rendered("{{ macros.dateutil.parser.parse('10:00') }}")


def test_a_template_knows_its_names_and_whether_the_window_matters() -> None:
    """names are the dotted names; text from params alone is the same for every window."""
    template = compile_template("{{ macros.ds_add(ds, params.days) }} {{ dag.dag_id }}")
    assert template.names == {"macros.ds_add", "ds", "params.days", "dag.dag_id"}
    assert template.depends_on_window
    for constant in (
        "plain",
        "{{ params.days }}",
        "{{ dag.dag_id }}",
        "{{ macros.ds_add('2024-01-01', 1) }}",
    ):
        assert not compile_template(constant).depends_on_window
    for changing in ("{{ run_id }}", "{{ ti.run_id }}", "{{ dag_run.logical_date }}"):
        assert compile_template(changing).depends_on_window
