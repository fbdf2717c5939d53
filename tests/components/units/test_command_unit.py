"""A unit that runs a shell command: the same command on both sides, in a process that leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from dagster_defs.components.units.broken_unit import BROKEN
from dagster_defs.components.units.task_unit import SideVariables
from tests.components.conftest import Project
from tests.support.estate import ONE_TRY, Estate
from tests.support.instances import instance_for_test
from tests.support.target_project import both_sides, failure, logged, states

DAY = ("2024-03-02", "2024-03-02")
NEVER = {"shadow": "never", "because": "it sends a mail"}
WRITE = 'mkdir -p "$OUT" && printf "id\\n{{ params.id }}\\n" > "$OUT/orders_{{ ds }}.csv" && pwd'


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    root = tmp_path_factory.mktemp("command_unit")
    (root / "legacy_dags").mkdir()
    (root / "legacy_dags" / "write.sh").write_text(WRITE)
    settings = {"PARITY_PROXIED_STATE": str(root / "cut"), "FROM_DAGSTER": "here"}
    with instance_for_test() as instance, pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(root)
        yield Project(Estate(root, instance, more_settings=settings))


def unit(command: str, **attributes: Any) -> tuple[str, dict[str, Any]]:
    return "CommandUnit", {
        "unit": "own.command",
        "schedule": {"cron": "@daily", "start": "2024-03-01"},
        "command": command,
        "params": {"id": 7},
        **attributes,
    }


def sides(root: Path) -> dict[str, Any]:
    return {
        "env": {side: {"OUT": str(root / "data" / side)} for side in ("legacy", "candidate")},
        "outputs": [{"key": "orders", "file": "orders_{{ ds }}.csv"}],
    }


@pytest.mark.parametrize("command", [WRITE, "write.sh"], ids=["inline", "file"])
def test_both_sides_run_the_same_command(place: Project, command: str) -> None:
    """Each side has its own variables, and what both have written is compared."""
    place.declare("own", unit(command, **sides(place.estate.root)))

    found = both_sides(place.load, place.estate, "own__command")

    assert found["shadow/orders"][0], found
    assert found["shadow/orders"][1].startswith("1 row equal")


def run(place: Project, command: str, **attributes: Any) -> dg.ExecuteInProcessResult:
    run_tags = attributes.pop("run_tags", {})
    place.declare("own", unit(command, **{**NEVER, **attributes}))
    place.load()
    return place.estate.run("own__command", DAY, must_succeed=False, tags=run_tags)


def test_the_output_is_the_runs_log_and_exit_code_99_skips(place: Project) -> None:
    """As in Airflow a code of `skip_on_exit_code` is a skip, and the command begins in an empty folder of its own."""
    result = run(place, 'echo "in $(ls | wc -l) files, $FROM_DAGSTER, $AIRFLOW_CTX_TASK_ID"; exit 99')

    assert states(result) == ["skipped"]
    assert "in 0 files, here, command" in logged(place.estate, result)


def test_the_operators_env_replaces_or_is_appended(place: Project) -> None:
    """Airflow's `env` is all that the command has, unless `append_env`; its values are templates."""
    command, env = 'echo "[$DAY] [$FROM_DAGSTER]"', {"DAY": "{{ ds }}"}

    alone, appended = (
        logged(place.estate, run(place, command, command_env=env, append_env=more)) for more in (False, True)
    )

    assert "[2024-03-02] []" in alone
    assert "[2024-03-02] [here]" in appended


@pytest.mark.parametrize(
    ("command", "more", "said"),
    [
        ("exit 3", {}, "own.command ended with exit code 3"),
        ("exit 99", {"run_tags": ONE_TRY}, "this proxy of Airflow's cannot pass that on"),
        ("sleep 60 & sleep 60", {"timeout": 1}, "TimedOut"),
    ],
)
def test_a_command_that_fails_is_the_runs_failure(
    place: Project, command: str, more: dict[str, Any], said: str
) -> None:
    """Another exit code, a skip that Airflow would not learn of, and the time-out each fail, by their own names."""
    assert said in failure(run(place, command, **more))


def test_a_failed_command_is_tried_again(place: Project) -> None:
    """Retries are the unit's."""
    marker = place.estate.root / "tried"

    result = run(place, f"test -e {marker} || {{ touch {marker}; exit 1; }}", retries=1, retry_delay=0)

    assert result.success
    assert states(result) == ["success"]


def test_a_candidate_needs_places_of_its_own(place: Project) -> None:
    """Without other variables no candidate runs, and with `shadow: never` none either."""
    same = {"OUT": "x"}
    place.declare(
        "own", unit("true", env={"legacy": same, "candidate": same}, outputs=[{"key": "a", "file": "a.csv"}])
    )
    place.declare("other", ("CommandUnit", {**unit("true")[1], "unit": "own.unsaid"}))
    place.declare("empty", ("CommandUnit", {**unit(" ", **NEVER)[1], "unit": "own.empty"}))
    specs = place.load().resolve_all_asset_specs()

    broken = {spec.key.path[-1]: str(spec.metadata["why"]) for spec in specs if spec.key.path[0] == BROKEN}
    unsaid = place.estate.run("shadow__own__unsaid", DAY, must_succeed=False)

    assert "`env` is the same on both sides" in " ".join(broken.values())
    assert "`command` is empty" in " ".join(broken.values())
    assert "nobody has said yet where a candidate may write" in failure(unsaid)
    for folder in ("other", "empty"):
        (place.defs_folder / folder / "defs.yaml").unlink()


@pytest.mark.parametrize(
    "text", ["False", "5", "05", "1.50", "1_000", "[1, 2]", "None", "'quoted'", " x ", "", "a\nb"]
)
def test_a_variable_is_text(text: str) -> None:
    """Whatever a value looks like, and if a template of Dagster's makes it, the process gets it as it is written."""
    template = f'{{{{ "{text}" }}}}'
    document = yaml.safe_dump({"legacy": {"PLAIN": text}, "candidate": {"MADE": template}})

    variables = SideVariables.resolve_from_yaml(document)

    assert variables == SideVariables({"PLAIN": text}, {"MADE": text})


@pytest.mark.parametrize("append", [False, True])
def test_a_candidate_does_not_write_where_the_operators_own_env_does(place: Project, append: bool) -> None:
    """What is the same is told from all that legacy's command has, and not from the process's variables alone."""
    same = {"candidate": {"TARGET": "2024-03-02"}}
    more = {
        "command_env": {"TARGET": "{{ ds }}"},
        "append_env": append,
        "env": same,
        "shadow": None,
        "because": "",
    }
    outputs = sides(place.estate.root)["outputs"]
    place.declare("own", unit('touch "$TARGET"', **more, outputs=outputs))
    place.load()

    result = place.estate.run("shadow__own__command", DAY, must_succeed=False)

    assert "TARGET is the same on both sides" in failure(result)
