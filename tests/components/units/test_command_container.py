"""A command in a container, on Docker and on Kubernetes: against APIs of our own, which start processes instead."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_defs.components.units import command_places
from dagster_defs.components.units.broken_unit import BROKEN
from dagster_defs.lifecycle.tags import AIRFLOW_STATE, CONTAINER_RUN, SIDE, UNIT
from tests.components.conftest import Project
from tests.support.container_servers import DockerApi, Engine, KubernetesApi, kubeconfig, serving
from tests.support.estate import Estate
from tests.support.instances import instance_for_test
from tests.support.target_project import both_sides, failure, logged, states

DAY = ("2024-03-02", "2024-03-02")
NEVER = {"shadow": "never", "because": "it sends a mail"}
ENGINES = ["docker", "kubernetes"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("containers")


@pytest.fixture(scope="module")
def docker() -> Iterator[Engine]:
    with serving(DockerApi) as engine:
        yield engine


@pytest.fixture(scope="module")
def kubernetes(root: Path) -> Iterator[Engine]:
    with serving(KubernetesApi) as engine:
        kubeconfig(engine, root / "kubeconfig")
        yield engine


@pytest.fixture(scope="module")
def place(root: Path, docker: Engine) -> Iterator[Project]:
    settings = {
        "PARITY_PROXIED_STATE": str(root / "cut"),
        "DOCKER_HOST": f"tcp://{docker.url}",
        "FROM_DAGSTER": "here",
    }
    with instance_for_test() as instance, pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(root)
        yield Project(Estate(root, instance, more_settings=settings))


@pytest.fixture
def engines(docker: Engine, kubernetes: Engine) -> dict[str, Engine]:
    return {"docker": docker, "kubernetes": kubernetes}


def unit(root: Path, engine: str, script: str, **attributes: Any) -> tuple[str, dict[str, Any]]:
    """A container that gives a script to a shell, with the day as its argument."""
    cluster = {"kubeconfig": str(root / "kubeconfig"), "namespace": "etl"} if engine == "kubernetes" else {}
    more = attributes.pop("container", {})
    return "CommandUnit", {
        "unit": "own.boxed",
        "schedule": {"cron": "@daily", "start": "2024-03-01"},
        "params": {"id": 7},
        "container": {
            "engine": engine,
            "image": "shop/export:{{ params.id }}",
            "entrypoint": ["/bin/sh", "-c"],
            "command": [script, "{{ ds }}"],
            **cluster,
            **more,
        },
        **attributes,
    }


def run(place: Project, engine: str, command: str, **attributes: Any) -> dg.ExecuteInProcessResult:
    place.declare("own", unit(place.estate.root, engine, command, **NEVER, **attributes))
    place.load()
    return place.estate.run("own__boxed", DAY, must_succeed=False)


@pytest.mark.parametrize("engine", ENGINES)
def test_both_sides_run_the_same_container(place: Project, engines: dict[str, Engine], engine: str) -> None:
    """Each side has its own variables and labels, what both have written is compared, and no container is left."""
    write = 'mkdir -p "$OUT" && printf "id\\n7\\n" > "$OUT/orders_$0.csv"'
    env = {side: {"OUT": str(place.estate.root / engine / side)} for side in ("legacy", "candidate")}
    outputs = [{"key": "orders", "file": "orders_{{ ds }}.csv"}]
    folders = {side: f"{engine}/{side}" for side in ("legacy", "candidate")}
    declared = unit(place.estate.root, engine, write, env=env, outputs=outputs, side_folders=folders)
    place.declare("own", declared)

    found = both_sides(place.load, place.estate, "own__boxed")

    assert found["shadow/orders"][0], found
    assert found["shadow/orders"][1].startswith("1 row equal")
    assert engines[engine].left == set()


def test_docker_gets_what_the_operator_would_give_it(place: Project, docker: Engine) -> None:
    """Image, entrypoint, command and environment are rendered; options are Docker's own; a missing image is pulled."""
    docker.missing.add("shop/export:7")
    more = {"env": {"DAY": "{{ ds }}"}, "options": {"network_mode": "host", "user": "etl"}}

    result = run(place, "docker", 'echo "[$DAY] [$FROM_DAGSTER] [$0]"', container=more)

    asked = docker.last.asked
    assert result.success
    assert "[2024-03-02] [] [2024-03-02]" in logged(place.estate, result)
    assert (asked["Image"], asked["User"], asked["HostConfig"]["NetworkMode"]) == (
        "shop/export:7",
        "etl",
        "host",
    )
    assert asked["Labels"].items() >= {UNIT: "own.boxed", SIDE: "legacy"}.items()
    assert docker.pulled == ["shop/export:7"]


def test_a_pod_is_what_the_operator_would_ask_for(place: Project, kubernetes: Engine) -> None:
    """The spec and the metadata begin as they are declared; Dagster's own labels and the unit's are added."""
    resources = {"limits": {"memory": "1Gi"}}
    more = {
        "env": {"DAY": "{{ ds }}"},
        "options": {
            "service_account_name": "etl",
            "containers": [
                {"name": "base", "resources": resources, "env": [{"name": "DAY", "value": "another"}]}
            ],
        },
        "pod_metadata": {"annotations": {"team": "sales"}, "labels": {"own": "label", UNIT: "not.this"}},
    }

    result = run(place, "kubernetes", 'echo "[$DAY] [$FROM_DAGSTER] [$0]"', container=more)

    asked = kubernetes.last.asked
    [container] = asked["spec"]["containers"]
    assert result.success
    assert "[2024-03-02] [] [2024-03-02]" in logged(place.estate, result)
    assert [each["value"] for each in container["env"] if each["name"] == "DAY"] == ["2024-03-02"]
    assert (asked["namespace"], asked["spec"]["serviceAccountName"]) == ("etl", "etl")
    assert asked["spec"]["restartPolicy"] == "Never"
    assert (container["name"], container["image"], container["resources"]) == (
        "base",
        "shop/export:7",
        resources,
    )
    assert asked["metadata"]["annotations"] == {"team": "sales"}
    assert asked["metadata"]["labels"].items() >= {"own": "label", UNIT: "own.boxed", SIDE: "legacy"}.items()


@pytest.mark.parametrize("engine", ENGINES)
def test_its_exit_code_is_the_runs(place: Project, engines: dict[str, Engine], engine: str) -> None:
    """By the operator's own default no code is a skip; a declared one is; the log has what was printed before."""
    failed = run(place, engine, "echo last words; exit 99")
    skipped = run(place, engine, "exit 99", skip_on_exit_code=[99])

    assert "own.boxed ended with exit code 99" in failure(failed)
    assert "last words" in logged(place.estate, failed)
    assert states(skipped) == ["skipped"]
    assert engines[engine].left == set()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_time_out_ends_the_container(place: Project, engines: dict[str, Engine], engine: str) -> None:
    """It has ended, and is gone, before the run fails."""
    result = run(place, engine, "exec sleep 600", timeout=3)

    assert "TimedOut" in failure(result)
    assert engines[engine].last.code == 128 + 15
    assert engines[engine].left == set()


@pytest.mark.parametrize("engine", ENGINES)
def test_what_an_earlier_run_has_left_is_removed_before_the_same_work_begins(
    place: Project, engines: dict[str, Engine], monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """As after a process that was killed: the first run's log says what may be left, and the next run removes it."""
    with monkeypatch.context() as refusing:
        refusing.setattr(engines[engine], "refuses_to_remove", True)
        first = run(place, engine, "exec sleep 600", timeout=3)
    [left] = engines[engine].left

    second = run(place, engine, "true")

    assert "of this try may be left" in logged(place.estate, first)
    assert second.success
    assert f"of run {first.run_id} was left behind" in logged(place.estate, second)
    assert engines[engine].boxes[left].code is not None
    assert engines[engine].left == set()


@pytest.mark.parametrize("engine", ENGINES)
def test_what_another_dagster_runs_is_left_alone(
    place: Project, engines: dict[str, Engine], monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """Two Dagsters on one engine may have the same unit: only what a run of one's own has left is removed."""
    with monkeypatch.context() as refusing:
        refusing.setattr(engines[engine], "refuses_to_remove", True)
        run(place, engine, "exec sleep 600", timeout=3)
    [left] = engines[engine].left
    box = engines[engine].boxes[left]
    (box.asked.get("Labels") or box.asked["metadata"]["labels"])[CONTAINER_RUN] = "elsewhere"

    second = run(place, engine, "true")

    assert "does the same work for run elsewhere, which is not one of this Dagster's" in logged(
        place.estate, second
    )
    assert box.code is None
    assert engines[engine].left == {left}
    engines[engine].remove(left)


def test_a_lost_connection_to_docker_fails_the_try(
    place: Project, docker: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker's client passes on what its HTTP library raises, which gets a name of its own here."""
    monkeypatch.setattr(docker, "drops", "/wait")

    assert "Docker did not run the container of own.boxed" in failure(run(place, "docker", "true"))


def test_a_refusal_of_kubernetes_shows_no_headers_and_no_body(
    place: Project, kubernetes: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may have secrets, wherever Dagster would show them."""
    monkeypatch.setattr(kubernetes, "refuses_to_start", True)

    result = run(place, "kubernetes", "true")

    entries = place.estate.instance.all_logs(result.run_id)
    assert "its API answers 403 Forbidden" in failure(result)
    assert [entry for entry in entries if "SECRET" in str(entry) or "HTTP response" in str(entry)] == []


def test_a_failed_container_is_tried_again(place: Project, docker: Engine) -> None:
    """Each try has a container of its own."""
    marker, before = place.estate.root / "tried", len(docker.boxes)

    result = run(
        place, "docker", f"test -e {marker} || {{ touch {marker}; exit 1; }}", retries=1, retry_delay=0
    )

    assert states(result) == ["success"]
    assert len(docker.boxes) == before + 2


@pytest.mark.parametrize("engine", ENGINES)
def test_what_the_program_reports_is_the_materializations_metadata(place: Project, engine: str) -> None:
    """A program that uses dagster-pipes knows its partition, and says what it has written."""
    program = (
        "from dagster_pipes import open_dagster_pipes\n"
        "with open_dagster_pipes() as pipes:\n"
        "    pipes.report_asset_materialization(metadata={'rows': 3, 'day': pipes.partition_key})\n"
    )
    words = {"entrypoint": [sys.executable, "-c"], "command": [program]}

    result = run(place, engine, "", container=words)

    [event] = result.get_asset_materialization_events()
    metadata = {name: value.value for name, value in event.materialization.metadata.items()}
    assert (metadata["rows"], metadata["day"], metadata[AIRFLOW_STATE]) == (3, "2024-03-02", "success")


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_that_does_not_answer_fails_the_try(
    place: Project, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """By a name of its own, with what is to be done."""
    monkeypatch.setitem(place.estate.more_settings, "DOCKER_HOST", "tcp://127.0.0.1:1")
    dead = place.estate.root / "dead"
    kubeconfig(Engine("127.0.0.1:1"), dead)
    more = {"kubeconfig": str(dead)} if engine == "kubernetes" else {}

    result = run(place, engine, "true", container=more)

    assert "did not run the container of own.boxed" in failure(result)


def broken(place: Project) -> str:
    specs = place.load().resolve_all_asset_specs()
    [why] = [str(spec.metadata["why"]) for spec in specs if spec.key.path[0] == BROKEN]
    return why


@pytest.mark.parametrize(
    ("engine", "attributes", "said"),
    [
        ("docker", {"command": "true"}, "`command` means nothing beside `container`"),
        ("docker", {"container": {"namespace": "etl"}}, "`container.namespace` is only for Kubernetes"),
        ("docker", {"container": {"image": " "}}, "`container.image` is empty"),
        ("docker", {"container": {"options": {"environment": {"OUT": "real"}}}}, "`container.env`"),
        ("docker", {"container": {"options": {"command": "x"}}}, "`container.options.command`"),
        ("docker", {"container": {"options": {"entrypoint": "x"}}}, "`container.options.entrypoint`"),
        ("docker", {"container": {"options": {"image": "x"}}}, "`container.options.image`"),
        ("docker", {"container": {"options": {"labels": {}}}}, "`container.options.labels`"),
        ("docker", {"container": {"options": {"detach": False}}}, "`container.options.detach`"),
        ("docker", {"container": {"options": {"name": "x"}}}, "`container.options.name`"),
        ("docker", {"container": {"options": {"auto_remove": True}}}, "`container.options.auto_remove`"),
        ("kubernetes", {"container": {"options": {"containers": [{}, {}]}}}, "Declare one container"),
        ("kubernetes", {"container": {"options": {"initContainers": [{}]}}}, "Declare one container"),
        ("kubernetes", {"container": {"options": {"init_containers": [{}]}}}, "Declare one container"),
        ("kubernetes", {"container": {"command": "echo 1"}}, "a pod's arguments are a list"),
    ],
)
def test_what_contradicts_itself_breaks_the_unit(
    place: Project, engine: str, attributes: dict[str, Any], said: str
) -> None:
    """At the load, and not in a run at night."""
    place.declare("own", unit(place.estate.root, engine, "true", **NEVER, **attributes))

    assert said in broken(place)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_missing_extra_is_named_with_the_remedy(
    place: Project, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """A location without the engine's package loads, and this unit says what to install."""
    monkeypatch.setitem(command_places.PACKAGES, engine, "dagster_not_installed")
    place.declare("own", unit(place.estate.root, engine, "true", **NEVER))

    why = broken(place)

    assert "`container` needs dagster-not-installed, which is not installed" in why
    assert f"pip install 'airflow-parity[{command_places.EXTRAS[engine]}]'" in why
