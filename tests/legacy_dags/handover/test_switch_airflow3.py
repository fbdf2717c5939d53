"""The switch in an enrolled task of Airflow 3, whose tries run against its execution API, without its database.

All stories are told by one process, each on a day of its own: Airflow 3 takes longer to start than to run them.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.dagster_marks import dagster_marks
from tests.support.estate import ROOT, foreign_environment
from tests.support.exporting import PYTHONS
from tests.support.fake_dagster import Job
from tests.support.unruly_dagsters import KnownRun, UnrulyDagster

PYTHON = PYTHONS["airflow3"]
pytestmark = [
    pytest.mark.airflow,
    pytest.mark.skipif(not PYTHON.exists(), reason="no Airflow 3 here; `make test` makes it"),
]

TASKS = ("first", "build", "later", "reads", "leave", "many", "adds")
ENROLLED = "whose a window is, is asked when the task starts"
BACK = ("run build", "mark build", "clear build", "run build", "unmark build", "clear build", "run build")
VARIABLE = {"PARITY_CHANNEL": "variable"}
DAGSTER = {"PARITY_CHANNEL": "dagster"}
HIDDEN = {**VARIABLE, "AIRFLOW_VAR_PARITY_MARKS__SWITCHED": "tasks: []"}

STORIES: dict[str, dict[str, Any]] = {
    "nobody set up": {"env": VARIABLE, "steps": ("run first",)},
    "file": {"steps": BACK},
    "variable": {"env": VARIABLE, "steps": ("set_up x", *BACK)},
    "dagster": {"env": DAGSTER, "steps": ("set_up x", *BACK, "lose x")},
    "no switch": {
        "env": DAGSTER,
        "steps": ("set_up x", "mark many", "run many", "unmark many", "clear many", "run many", "lose x"),
    },
    "hidden": {"env": HIDDEN, "steps": ("set_up x", "run first")},
    "away": {"env": VARIABLE, "steps": ("set_up x", "mark first", "away x", "run first")},
    "deferred": {"steps": ("run later", "mark later", "clear later", "run later")},
    "no answer": {"steps": ("spoil x", "run build", "lose x", "run build", "mark build", "run build")},
    "left behind": {
        "steps": (
            "run first",
            "mark leave",
            "run leave",
            "fail leave",
            "run leave",
            "clear leave",
            "run leave",
        )
    },
    "input again": {
        "steps": (
            "run first",
            "mark leave",
            "run leave",
            "clear first",
            "run first",
            "fail leave",
            "run leave",
        )
    },
    "not rendered": {"steps": ("mark build", "mark reads", "run build", "run reads")},
    "others": {"steps": ("run adds", "run many")},
    "without enrolment": {
        "dag": "marked",
        "files": {"marked.yaml": "tasks: [{id: build, proxied: true}, {id: many, proxied: true}]"},
        "steps": ("run first", "run build", "run many"),
    },
}


@dataclass(frozen=True)
class Story:
    """`told`: what Airflow has of a task after each try. `runs`: those that were launched in Dagster."""

    day: str
    told: list[dict[str, Any]]
    tags: list[str]
    runs: list[KnownRun]

    def states(self) -> list[str]:
        return [told["state"] for told in self.told]

    def owners(self) -> list[str | None]:
        return [told["xcoms"].get("parity_owner") for told in self.told]


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Story]:
    home, folder = tmp_path_factory.mktemp("airflow3"), tmp_path_factory.mktemp("noted")
    days = {name: f"2024-03-{day:02}" for day, name in enumerate(STORIES, start=4)}
    job_tags = {"parity/timezone": "America/New_York", "parity/key_format": "%Y-%m-%d"}
    with UnrulyDagster() as dagster, dagster_marks() as dagster.marks:
        dagster.jobs = [Job(f"{dag}__{task}", job_tags) for dag in ("switched", "marked") for task in TASKS]
        settings = {
            **foreign_environment(),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).with_name("switched_dags3")),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "PYTHONPATH": str(ROOT / "legacy_dags"),
            "DAGSTER_URL": dagster.url,
            "FOLDER": str(folder),
        }
        migrate = [str(PYTHON), "-m", "airflow", "db", "migrate"]
        subprocess.run(migrate, env=settings, check=True, capture_output=True, timeout=900)
        asked = {
            name: {
                "dag": "switched",
                "day": days[name],
                **story,
                "steps": [step.split() for step in story["steps"]],
            }
            for name, story in STORIES.items()
        }
        done = subprocess.run(
            [str(PYTHON), str(Path(__file__).with_name("run_switched3.py"))],
            input=json.dumps(asked),
            env=settings,
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
        answers = json.loads(done.stdout.splitlines()[-1])
        return {
            name: Story(
                days[name],
                answer["told"],
                answer["tags"],
                [run for run in dagster.runs if days[name] in run.tags["dagster-airlift/airflow-dag-run-id"]],
            )
            for name, answer in answers.items()
        }


@pytest.mark.parametrize("channel", ["file", "variable", "dagster"])
def test_the_mark_of_the_moment_decides(stories: dict[str, Story], channel: str) -> None:
    """Airflow's, then Dagster's, then Airflow's again, while the DAG file is read once."""
    story = stories[channel]
    own, handed, back = story.told

    assert story.states() == ["success"] * 3
    assert story.owners() == ["airflow", "dagster", "airflow"]
    assert {told["operator"] for told in story.told} == {"Nightly"}
    notes = ["hook of build", "build before", f"build {story.day}", "build after"]
    assert own["noted"] == back["noted"] == notes
    # The hook that was passed to the task is Airflow's as well as Dagster's; what its class does is not.
    assert handed["noted"] == ["hook of build"]
    [run] = story.runs
    assert handed["xcoms"]["dagster_run"].endswith(f"/runs/{run.run_id}")
    assert (run.tags["parity/position"], run.tags["dagster/partition"]) == ("17", story.day)
    assert ENROLLED in own["doc"]
    # Before the first story that sets them up, there are no Variables to read when the file is parsed.
    assert story.tags[:1] == ["parity: enrolled"]


def test_dagster_is_asked_before_a_task_without_a_switch(stories: dict[str, Story]) -> None:
    """It is not asked while the file is parsed, so such a task cannot be handed over, and must not run as Airflow's."""
    handed, own = stories["no switch"].told

    assert (handed["state"], handed["noted"], own["state"]) == ("up_for_retry", [], "success")
    assert stories["no switch"].runs == []


def test_a_deferral_goes_back_where_it_came_from(stories: dict[str, Story]) -> None:
    """A try that waits in the triggerer for Dagster ends as Dagster's run, and one of Airflow's own as its own."""
    story = stories["deferred"]

    assert (story.states(), story.owners()) == (["success"] * 2, ["airflow", "dagster"])
    assert [told["noted"] for told in story.told] == [["later defers", f"later {story.day}"], []]
    assert len(story.runs) == 1


def test_no_answer_fails_and_writes_nothing(stories: dict[str, Story]) -> None:
    """Whatever is missing or cannot be read: neither orchestrator runs the task, and a retry asks again. A hook that
    was passed to the task is called before anybody is asked."""
    story = stories["no answer"]

    assert story.states() == ["up_for_retry", "up_for_retry", "success"]
    assert story.owners() == [None, None, "dagster"]
    assert [told["noted"] for told in story.told[:2]] == [["hook of build"]] * 2
    assert len(story.runs) == 1


@pytest.mark.parametrize("name", ["nobody set up", "hidden", "away"])
def test_variables_that_may_be_anothers_are_no_answer(stories: dict[str, Story], name: str) -> None:
    """Those that nobody set up, and one of the environment, which hides Airflow's and is as old as its process. One
    that Airflow's server cannot read is "not found" to it, and must not be so to the task."""
    [told] = stories[name].told

    assert (told["state"], told["noted"], stories[name].runs) == ("up_for_retry", [], [])


def test_a_retry_accepts_what_its_first_try_has_left_in_dagster(stories: dict[str, Story]) -> None:
    """The worker was lost while Dagster's run went on; a clear, in contrast, wants another run."""
    story = stories["left behind"]
    urls = [told["xcoms"].get("dagster_run") for told in story.told[1:]]

    assert (story.states(), len(story.runs)) == (["success"] * 4, 2)
    assert urls[0] == urls[1] != urls[2]


def test_a_run_from_older_input_is_not_accepted(stories: dict[str, Story]) -> None:
    """A task before this one has run again since."""
    story = stories["input again"]

    assert story.states() == ["success"] * 4
    assert len(story.runs) == 2
    assert len({run.tags["parity/airflow_upstream"] for run in story.runs}) == 2


def test_what_dagster_has_not_left_is_not_rendered(stories: dict[str, Story]) -> None:
    """A field that reads the XCom of a task in Dagster does not fail a task that is in Dagster, too."""
    story = stories["not rendered"]

    assert (story.states(), len(story.runs)) == (["success"] * 2, 2)


def test_a_dag_without_enrolment_hands_over_what_is_marked(stories: dict[str, Story]) -> None:
    """In Airflow 3 by a switch, too. A marked task that takes none fails, and is not run in Airflow."""
    story = stories["without enrolment"]

    assert story.states() == ["success", "success", "up_for_retry"]
    assert story.owners() == [None, "dagster", None]
    assert [bool(told["noted"]) for told in story.told] == [True, True, False]
    assert story.tags == ["parity: 1 enrolled", "parity: proxied_state broken"]
    assert [run.tags["dagster-airlift/airflow-task-id"] for run in story.runs] == ["build"]


def test_tasks_that_take_a_switch(stories: dict[str, Story]) -> None:
    """TaskFlow as well; a mapped task stays Airflow's own."""
    story = stories["others"]

    assert (story.states(), story.owners()) == (["success"] * 2, ["airflow", None])
    assert story.told[0]["noted"] == ["adds"]
