"""What is known here of Airflow's trigger rules, beside Airflow's own code for them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from dagster_defs.inventory.operator_kinds import AFTER_A_FAILURE
from dagster_defs.lifecycle.listening import FAILED, UPSTREAM_FAILED, EchoedTask, states_told
from tests.support.estate import AIRFLOW3_PYTHON, AIRFLOW_PYTHON, ROOT, foreign_environment

pytestmark = pytest.mark.airflow

Answers = Mapping[str, Mapping[str, str]]  # by rule and by the states above


@pytest.fixture(
    scope="module", params=[pytest.param(AIRFLOW_PYTHON, id="2.11"), pytest.param(AIRFLOW3_PYTHON, id="3.3")]
)
def answers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """How Airflow ends a task that does nothing, for each rule and up to four tasks above it."""
    place = tmp_path_factory.mktemp("rules")
    environment = {**foreign_environment(), "AIRFLOW_HOME": str(place), "PYTHONWARNINGS": "ignore"}
    python: Path = request.param
    done = subprocess.run(
        [python, ROOT / "tests" / "support" / "rule_oracle.py"],
        cwd=place, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: Answers = json.loads(done.stdout.splitlines()[-1])  # Airflow may print its warnings first
    return found


def test_what_airflow_is_told_is_what_it_would_say(answers: Answers) -> None:
    """A task without a mirror, below tasks that have ended in each way: whatever a failure has kept from running is
    told as failed, because REST has no other word for it."""
    wrong = []
    for rule, by_states in answers.items():
        for states, answer in by_states.items():
            known = {f"above_{number}": state for number, state in enumerate(states.split())}
            tasks = [*map(EchoedTask, known), EchoedTask("task", tuple(known), rule)]
            told = states_told(tasks, known)["task"]
            if told != (FAILED if answer == UPSTREAM_FAILED else answer):
                wrong.append(f"{rule} after {states}: Airflow says {answer}, told is {told}")

    assert not wrong, "\n".join(wrong)
    assert sum(map(len, answers.values())) > 800


def test_the_rules_that_may_hold_after_a_failure(answers: Answers) -> None:
    """In Dagster nothing runs after a failed step: these are the rules by which Airflow runs a task all the same."""
    holding = {
        rule
        for rule, by_states in answers.items()
        for states, answer in by_states.items()
        if answer == "success" and {FAILED, UPSTREAM_FAILED} & {*states.split()}
    }

    assert holding
    assert holding <= AFTER_A_FAILURE
    assert AFTER_A_FAILURE & answers.keys() == holding
