"""Runs of DAGs without a clock: what a template may ask of one, and what is refused."""

from __future__ import annotations

from typing import Any

import pendulum
import pytest

from dagster_defs.errors import BadOccasion, BadVariable, HasNoWindows, TemplateFailed, TemplateRefused
from dagster_defs.windows import (
    Bound,
    EventKind,
    EventSchedule,
    Occasion,
    OccasionKind,
    PartitionVars,
    VariableTemplate,
    Window,
    compile_template,
)

AT = pendulum.datetime(2024, 3, 9, 23, 30)
BY_HAND = EventSchedule(EventKind.MANUAL, "America/New_York")
ASKED = Occasion.by_hand(AT, {"days": 3, "regions": ["north"]})


def variables(**templates: Any) -> PartitionVars:
    declared = [VariableTemplate(name, text) for name, text in templates.items()]
    return PartitionVars(declared, BY_HAND, "ad_hoc", "build")


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("{{ ds }} {{ yesterday_ds_nodash }} {{ tomorrow_ds }}", "2024-03-09 20240308 2024-03-10"),
        ("{{ data_interval_start == data_interval_end }}", "True"),
        ("{{ run_id }}", "manual__2024-03-09T23:30:00+00:00"),
        ("{{ dag_run.run_type }} {{ dag_run.conf['days'] }}", "manual 3"),
        ("{{ dag_run.conf.get('until', ds) }}", "2024-03-09"),
        ("{{ dag_run.conf.regions | join }}", "north"),
        ("{{ macros.ds_add(ds, -1) }} {{ dag.dag_id }} {{ dag.timezone.name }}", "2024-03-08 ad_hoc America/New_York"),
    ],
)  # fmt: skip
def test_a_template_is_evaluated_on_the_run(text: str, rendered: str) -> None:
    """Names have the values that Airflow's own context of this run has, its conf included."""
    assert variables(asked=text).for_window(ASKED) == {"asked": rendered}


@pytest.mark.parametrize(
    ("text", "needs"),
    [("{{ params.days }}", "params.days"), ("{{ next_ds }}", "next_ds"), ("{{ prev_ds }}", "prev_ds"),
     ("{{ dag_run.start_date }}", "dag_run.start_date"), ("{{ ti.xcom_pull('a') }}", "ti.xcom_pull"),
     ("{{ triggering_dataset_events }}", "triggering_dataset_events")],
)  # fmt: skip
def test_what_the_run_does_not_tell_is_refused(text: str, needs: str) -> None:
    """A param may be a default or overridden, depending on the team's Airflow; no run comes before or after one."""
    with pytest.raises(TemplateRefused) as refused:
        variables(asked=text)
    assert refused.value.needs == needs
    assert "names that follow from the run alone" in str(refused.value)


def test_a_conf_is_known_only_without_a_clock() -> None:
    """A scheduled run's template still may not ask for a conf, even if the same text was compiled for an event."""
    text = "{{ dag_run.conf.get('x') }}"
    compile_template(text, about=OccasionKind.EVENT)
    with pytest.raises(TemplateRefused, match="who triggers the run"):
        compile_template(text)


def test_a_missing_conf_key_fails_for_that_run() -> None:
    """Nothing is guessed in its place, and the run is named."""
    with pytest.raises(TemplateFailed, match="fails for run manual__") as caught:
        variables(asked="{{ macros.ds_add(dag_run.conf['missing'], 1) }}").for_window(ASKED)

    assert (caught.value.kind, caught.value.name) == ("run", ASKED.run_id)


def test_a_unit_without_a_clock_has_no_windows() -> None:
    """A window is refused by name, a bound is refused at once, and no run covers several."""
    hook = variables(asked="{{ ds }}")
    with pytest.raises(HasNoWindows, match=r"ad_hoc\.build has no windows"):
        hook.for_window(Window(AT, AT.add(days=1)))
    with pytest.raises(BadVariable, match="has a bound"):
        PartitionVars([VariableTemplate("x", "{{ ds }}", Bound.LOWER)], BY_HAND, "ad_hoc", "build")
    assert not hook.can_range
    assert variables(asked="3").constants() == {"asked": "3"}


def test_an_occasion_is_read_back_as_it_was_written() -> None:
    """Also one whose run has neither logical date nor interval, as in Airflow 3."""
    for occasion in (ASKED, Occasion("asset_triggered__1", run_type="asset_triggered")):
        assert Occasion.from_json(occasion.as_json()) == occasion


@pytest.mark.parametrize(
    "document",
    [None, [], {}, {"run_id": ""}, {"run_id": "x" * 251}, {"run_id": "x", "conf": "text"},
     {"run_id": "x", "start": "yesterday"}, {"run_id": "x", "end": "2024-01-01"}, {"run_id": "x", "end": 3}],
)  # fmt: skip
def test_a_malformed_occasion_is_refused(document: Any) -> None:
    """Whatever a caller passes: one clear error."""
    with pytest.raises(BadOccasion):
        Occasion.from_json(document)
