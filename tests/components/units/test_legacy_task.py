"""A unit that runs the operator of the DAG file itself: real Airflow below, real Dagster above."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterEventType

from dagster_defs.adapters.airflow.task_store import Attempt, WindowStore
from dagster_defs.adapters.store.proxied_state import write_mark
from dagster_defs.errors import TaskStoreUnreadable
from dagster_defs.lifecycle import Stage, Unit, tags
from dagster_defs.parity import Side
from dagster_defs.windows import Window
from tests.components.conftest import Project
from tests.support import strange_dag
from tests.support.estate import AIRFLOW_PYTHON, Estate
from tests.support.instances import instance_for_test
from tests.support.owned import bring_to
from tests.support.target_project import states

DAYS = {"cron": "0 6 * * *", "timezone": "UTC", "start": "2024-01-01"}
DAY = ("2024-02-01", "2024-02-01")
PROXIED = {
    tags.AIRFLOW_MAP_INDEX: "-1",
    tags.AIRFLOW_TRY: "1",
    tags.AIRFLOW_ROUND: "0",
    tags.AIRFLOW_UPSTREAM: "",
    tags.WINDOW_START: "2024-02-01T06:00:00+00:00",
    tags.WINDOW_END: "2024-02-02T06:00:00+00:00",
    tags.PARTITION: "2024-02-01",
}
NEVER = {"shadow": "never", "because": "it sends mails to customers"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A folder with the strange DAG, and a Dagster instance."""
    root = tmp_path_factory.mktemp("legacy_task")
    strange_dag.dags_folder(root)
    (root / "legacy_dags").mkdir()
    (root / "legacy_dags" / "alerts.py").write_text("def tell(context): ...\n")
    settings = {
        "PARITY_TASK_STORE": str(root / "store"),
        "PARITY_PROXIED_STATE": str(root / "cut"),
        "PARITY_AIRFLOW_PYTHON": str(AIRFLOW_PYTHON),
    }
    with instance_for_test() as instance:
        yield Project(Estate(root, instance, more_settings=settings))


def declared(
    root: Path, task_id: str, dag_id: str = "strange", **attributes: Any
) -> tuple[str, dict[str, Any]]:
    own = {
        name: text
        for name, text in strange_dag.environment(root).items()
        if name.startswith(("AIRFLOW", "STRANGE"))
    }
    return "LegacyTask", {
        "unit": f"{dag_id}.{task_id}",
        "schedule": DAYS,
        "airflow": {"dags_folder": "dags", "dag_file": "strange.py"},
        "env": {"legacy": {**own, "AIRFLOW_VAR_PLACE": str(root / "data" / "legacy")}},
        **NEVER,
        **attributes,
    }


def proxied_run(
    place: Project, unit: Unit, kind: str = "scheduled", **more: str
) -> dg.ExecuteInProcessResult:
    """As Airflow's proxy launches one of a unit that is cut over."""
    folder = bring_to(place.estate.root / "cut", unit, Stage.CUT_OVER)
    write_mark(folder, unit, proxied=True)
    run_id = f"{kind}__2024-02-01T06:00:00+00:00"
    said = {
        **PROXIED,
        **more,
        tags.AIRFLOW_DAG: unit.dag_id,
        tags.AIRFLOW_TASK: unit.task_id,
        tags.AIRFLOW_RUN: run_id,
        tags.AIRFLOW_TASK_INSTANCE: f"{unit} {run_id}",
        tags.LAUNCH: uuid.uuid4().hex,
    }
    return place.estate.run(unit.identifier, DAY, tags=said, must_succeed=False, by_owner=False)


def retried(result: dg.ExecuteInProcessResult) -> list[float | None]:
    events = result.filter_events(lambda event: event.event_type is DagsterEventType.STEP_UP_FOR_RETRY)
    return [event.step_retry_data.seconds_to_wait for event in events]


def why(result: dg.ExecuteInProcessResult) -> str:
    [failure] = result.filter_events(lambda event: event.event_type is DagsterEventType.STEP_FAILURE)
    return str(failure.step_failure_data.error)


@pytest.mark.airflow
def test_skips_and_xcoms_go_from_run_to_run(place: Project) -> None:
    """Tasks of one window, each a Dagster run of its own, see each other's states and XComs as in Airflow."""
    names = ("skip99", "after_skip", "whatever", "templated", "after_marker")
    place.declare("own", *(declared(place.estate.root, name) for name in names))
    place.load()

    results = [place.estate.run(f"strange__{name}", DAY) for name in names]

    assert [states(result) for result in results] == [
        ["skipped"],
        ["skipped"],
        ["success"],
        ["success"],
        ["success"],
    ]
    event = results[0].filter_events(lambda one: one.event_type is DagsterEventType.ASSET_MATERIALIZATION)[0]
    assert event.asset_key == dg.AssetKey(["strange", "skip99"])
    run = place.estate.instance.all_logs(results[3].run_id)
    assert any("2024-02-01 2024-02-02T06:00:00+00:00 salut" in entry.user_message for entry in run)


@pytest.mark.airflow
def test_retries_are_airflows(place: Project) -> None:
    """A task with a retry succeeds in its second try, one that fails for good is the run's failure, by its own name,
    and a sensor that reschedules comes back when it said."""
    names = {"second_try": 1, "failing": 1, "final": 3, "rescheduled": 0}
    units = [declared(place.estate.root, name, retries=tries, retry_delay=0) for name, tries in names.items()]
    place.declare("own", *units)
    place.load()

    results = {name: place.estate.run(f"strange__{name}", DAY, must_succeed=False) for name in names}

    assert [result.success for result in results.values()] == [True, False, False, True]
    assert [len(retried(result)) for result in results.values()] == [1, 1, 0, 2]
    assert "broken on purpose" in why(results["failing"])
    told = strange_dag.effects(place.estate.root)
    assert told == [
        "failure failing",
        "failure final",
        "retry failing",
        "retry second_try",
        "success second_try",
    ]


@pytest.mark.airflow
def test_both_sides_are_compared_where_a_candidate_has_its_place(place: Project) -> None:
    """With other connections for the candidate the same operator runs twice, and its files are compared."""
    root = place.estate.root
    kind, attributes = declared(root, "writes", "killed", shadow=None, because="")
    legacy = attributes["env"]["legacy"]
    attributes["env"]["candidate"] = {**legacy, "AIRFLOW_VAR_PLACE": str(root / "data" / "candidate")}
    attributes["outputs"] = [{"key": "written", "file": "{{ ds }}.csv", "file_key": ["id"]}]
    place.declare("own", (kind, attributes))
    place.load()

    for side in ("legacy", "candidate"):
        (root / "data" / side).mkdir(parents=True)
    place.estate.run("killed__writes", DAY)
    result = place.estate.run("shadow__killed__writes", DAY)

    [verdict] = result.get_asset_check_evaluations()
    assert verdict.passed, verdict.metadata


def test_a_candidate_that_may_not_run_does_not(place: Project) -> None:
    """Where nobody has said where it may write, and where somebody has said never, nothing is started."""
    place.declare(
        "own",
        declared(place.estate.root, "final"),
        declared(place.estate.root, "failing", shadow=None, because=""),
    )
    place.load()

    never = place.estate.run("shadow__strange__final", DAY, must_succeed=False)
    unsaid = place.estate.run("shadow__strange__failing", DAY, must_succeed=False)

    assert "it sends mails to customers" in why(never)
    assert "nobody has said yet where a candidate may write" in why(unsaid)


def test_only_the_owner_runs_it(place: Project) -> None:
    """While the unit is Airflow's, nothing is started."""
    place.declare("own", declared(place.estate.root, "final"))
    place.load()

    result = place.estate.run("strange__final", DAY, must_succeed=False, by_owner=False)

    assert "NotOwner" in why(result)


def test_a_candidate_with_legacys_own_places_does_not_run(place: Project) -> None:
    """`env.candidate` that says what legacy's process has anyway keeps nothing away from legacy's places."""
    kind, attributes = declared(place.estate.root, "writes", "killed", shadow=None, because="")
    same = {"AIRFLOW_VAR_PLACE": attributes["env"]["legacy"]["AIRFLOW_VAR_PLACE"]}
    attributes["env"]["candidate"] = same
    attributes["outputs"] = [{"key": "written", "file": "{{ ds }}.csv", "file_key": ["id"]}]
    place.declare("own", (kind, attributes))
    place.load()

    result = place.estate.run("shadow__killed__writes", DAY, must_succeed=False)

    assert "AIRFLOW_VAR_PLACE is the same on both sides" in why(result)


@pytest.mark.airflow
def test_a_skip_that_airflow_cannot_be_told_is_a_failure(place: Project) -> None:
    """A skip fails in a run of a proxy that does not say that it passes them on: Airflow would go on."""
    place.declare("own", declared(place.estate.root, "short"))
    place.load()

    result = proxied_run(place, Unit("strange", "short"))

    assert "it skips cut, cut_too, and this proxy of Airflow's cannot pass that on" in why(result)


@pytest.mark.airflow
def test_a_skip_is_told_to_airflows_proxy(place: Project) -> None:
    """The run succeeds, and its tags have the task's state and the tasks that it skips."""
    skips99 = declared(place.estate.root, "skip99")
    place.declare("own", skips99, declared(place.estate.root, "branch"))
    place.load()

    for task_id, state, skipped in (("skip99", "skipped", []), ("branch", "success", ["right"])):
        result = proxied_run(place, Unit("strange", task_id), **{tags.PASSES_ON_SKIPS: "yes"})
        assert result.success
        assert states(result) == [state]
        run = place.estate.instance.get_run_by_id(result.run_id)
        assert run
        assert run.tags[tags.AIRFLOW_STATE] == state
        assert json.loads(run.tags[tags.AIRFLOW_SKIPS]) == skipped


MAPPED_FILE = """
import os
from datetime import datetime, timezone
from airflow import DAG
from airflow.decorators import task
from airflow.exceptions import AirflowSkipException

with DAG("fan", schedule="0 6 * * *", start_date=datetime(2024, 1, 1, tzinfo=timezone.utc)):
    @task
    def noted(word):
        with open(os.path.join(os.environ["STRANGE_OUT"], "noted"), "a") as file:
            file.write(word + "\\n")
        if word == "skip":
            raise AirflowSkipException

    noted.expand(word=["go", "skip"])
"""


@pytest.mark.airflow
def test_a_mapped_task_that_was_over_runs_again(place: Project) -> None:
    """All instances had ended and the run failed after that: the next run of the same round executes them all, as
    Airflow does with a task that is cleared, and does not pass on what the earlier one has left behind."""
    root = place.estate.root
    (root / "dags" / "fan.py").write_text(MAPPED_FILE)
    in_its_file = {"dags_folder": "dags", "dag_file": "fan.py"}
    place.declare("own", declared(root, "noted", "fan", airflow=in_its_file))
    place.load()

    for times, passes_on in ((1, "yes"), (2, tags.PASSES_ON_EACH)):
        result = proxied_run(place, Unit("fan", "noted"), **{tags.PASSES_ON_SKIPS: passes_on})
        assert result.success is (passes_on == tags.PASSES_ON_EACH)
        assert sorted((root / "noted").read_text().split()) == sorted(["go", "skip"] * times)


def test_a_triggered_run_has_a_conf_that_nobody_knows(place: Project) -> None:
    """A run that somebody has triggered in Airflow is refused: what was passed to it is not at hand."""
    place.declare("own", declared(place.estate.root, "skip99"))
    place.load()

    result = proxied_run(place, Unit("strange", "skip99"), "manual")

    assert "its conf is not available here" in why(result)


@pytest.mark.airflow
@pytest.mark.parametrize("owned", [False, True])
def test_only_what_dagster_owns_is_of_airflows_run(place: Project, *, owned: bool) -> None:
    """In a run of Airflow's proxy an XCom counts where Dagster runs its task now; else it may be an earlier run's."""
    root = place.estate.root
    place.declare("own", declared(root, "asks", "killed"))
    place.load()
    _keep_a_result(root, Unit("killed", "slow"))
    if owned:
        bring_to(root / "cut", Unit("killed", "slow"), Stage.RETIRED)

    result = proxied_run(place, Unit("killed", "asks"))

    assert result.success is owned
    assert owned or "the XComs of slow are not at hand" in why(result)


def _keep_a_result(root: Path, unit: Unit) -> None:
    xcom = {
        "key": "return_value", "value": {"json": '"earlier"'}, "timestamp": "2024-02-02T06:00:00+00:00"
    }  # fmt: skip
    one = {"map_index": -1, "state": "success", "error": "", "until": None, "xcoms": [xcom]}
    record = {
        "state": "success", "skips": [], "instances": [{**one, "task_map": [], "reschedules": []}]
    }  # fmt: skip
    window = Window.between("2024-02-01T06:00:00+00:00", "2024-02-02T06:00:00+00:00")
    store = WindowStore.of(root / "store", Side.LEGACY, unit.dag_id, window)
    store.keep(unit, Attempt("earlier", 0, record))


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"because": ""}, "has no `because`"),
        ({"shadow": None}, "is given without `shadow: never`"),
        ({"env": {"candidate": {"A": "b"}}}, "has no effect with"),
        ({"shadow": None, "because": "", "env": {"candidate": {"A": "b"}}}, "no output has a `file`"),
        (
            {
                "shadow": None, "because": "", "env": {"legacy": {"A": "b"}, "candidate": {"A": "b"}},
                "outputs": [{"key": "written", "file": "{{ ds }}.csv"}],
            },
            "the same on both sides",
        ),
        ({"on_failure": "alerts.tell"}, "would be called in addition to"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(place: Project, attributes: dict[str, Any], reason: str) -> None:
    """Each contradiction in the YAML breaks the unit, with what to do."""
    place.declare("own", declared(place.estate.root, "final", **attributes))

    definitions = place.load()

    spec = definitions.resolve_asset_graph().get(dg.AssetKey(["broken_units", "strange", "final"]))
    assert reason in str(spec.description).replace("\\", "")


def test_the_store_keeps_each_task_by_itself(tmp_path: Path) -> None:
    """What a task left behind is read by its window and side only, and a file that is none is named."""
    window = Window.between("2024-02-01T06:00:00+00:00", "2024-02-02T06:00:00+00:00")
    store = WindowStore.of(tmp_path, Side.LEGACY, "a/b", window)
    record = {"state": "success", "instances": [], "skips": []}
    store.keep(Unit("a/b", "group.task"), Attempt("run", 1, record))

    assert store.records() == {"group.task": record}
    assert store.attempt(Unit("a/b", "group.task")) == Attempt("run", 1, record)
    assert WindowStore.of(tmp_path, Side.CANDIDATE, "a/b", window).records() == {}
    (store.folder / "broken.json").write_text("{")
    with pytest.raises(TaskStoreUnreadable, match=r"broken\.json"):
        store.records()
