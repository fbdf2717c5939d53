"""deploy/ as far as no cluster is needed: by Dagster's schemas, the Kubernetes client's models, the code's names."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster._config import process_config
from dagster._core.instance.config import dagster_instance_config_schema
from dagster_k8s.job import UserDefinedDagsterK8sConfig
from kubernetes import client
from typer.main import get_command

from dagster_defs.adapters.store.channels import CHANNELS
from dagster_defs.cli import app
from dagster_defs.settings import Settings
from tests.support.documents import document
from tests.support.estate import ROOT

DEPLOY = ROOT / "deploy"
CONFIGURATIONS = ("dagster/values.yaml", "celery/dagster.yaml")
MANIFESTS = sorted(
    path for path in (DEPLOY / "dagster" / "kustomize").glob("*.yaml") if path.name != "kustomization.yaml"
)
KINDS = {"Deployment": "V1Deployment", "Service": "V1Service", "Job": "V1Job"}
VARIABLE = re.compile(r"\b(?:PARITY|AIRFLOW|DAGSTER)_[A-Z_]*[A-Z]\b")
# Dagster's own and Airflow's own, and those that the compose file makes up for its dagster.yaml.
FOREIGN = {
    "DAGSTER_CURRENT_IMAGE", "DAGSTER_HOME", "DAGSTER_POSTGRES_URL", "DAGSTER_CELERY_URL",
    "AIRFLOW_CONN_DAGSTER_DEFAULT",
}  # fmt: skip


def read(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text())


def instance(name: str) -> Mapping[str, Any]:
    """What the file has in dagster.yaml."""
    document = read(name)
    found: Mapping[str, Any] = document.get("additionalInstanceConfig", document)
    return found


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_dagster_understands_its_instance(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the schema with which Dagster reads dagster.yaml; a key that it does not know is refused."""
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", "postgresql://dagster@postgres/dagster")
    configured = dict(instance(name))
    assert _errors(configured) == []

    assert _errors({**configured, "run_monitoring": {"max_runtime": 1}}) != []


def _errors(configured: Mapping[str, Any]) -> list[str]:
    outcome = process_config(dagster_instance_config_schema(), configured)
    return [error.message for error in outcome.errors or ()]


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_what_the_doctor_wants_is_there(name: str) -> None:
    """Run monitoring with both bounds, and a limit for each pool."""
    monitoring = instance(name)["run_monitoring"]

    assert monitoring["enabled"] is True
    assert monitoring["max_runtime_seconds"] > 0
    assert monitoring["free_slots_after_run_end_seconds"] > 0
    assert instance(name)["concurrency"]["pools"]["default_limit"] > 0


def test_the_pods_of_runs_are_dagsters() -> None:
    """`runK8sConfig` is what dagster-k8s makes a Job of, and that Job is tried once."""
    values = read("dagster/values.yaml")
    launcher = values["runLauncher"]["config"]["k8sRunLauncher"]
    pods = {_snake(key): each for key, each in launcher["runK8sConfig"].items()}
    assert set(pods) <= set(inspect.signature(UserDefinedDagsterK8sConfig.__new__).parameters)

    config = UserDefinedDagsterK8sConfig.from_dict(_in_snakes(pods))  # type: ignore[no-untyped-call]  # Dagster's

    assert config.job_spec_config["backoff_limit"] == 0
    for model, written in (
        ("V1Container", {"name": "run", **launcher["runK8sConfig"]["containerConfig"]}),
        ("V1JobSpec", {"template": {}, **launcher["runK8sConfig"]["jobSpecConfig"]}),
    ):
        assert list(unknown(written, model)) == []
    deployment = values["dagster-user-deployments"]["deployments"][0]
    for key, model in (("volumes", "V1Volume"), ("volumeMounts", "V1VolumeMount"), ("env", "V1EnvVar")):
        assert [wrong for each in deployment[key] for wrong in unknown(each, model)] == []


def _snake(key: str) -> str:
    return re.sub(r"(?<=[a-z])[A-Z]", lambda found: "_" + str(found[0]).lower(), key)


def _in_snakes(value: Any) -> Any:
    return (
        {_snake(key): _in_snakes(each) for key, each in value.items()} if isinstance(value, dict) else value
    )


def unknown(written: Any, model: str) -> Iterator[str]:
    """Keys that the Kubernetes client's model does not have, at every depth; required ones that are missing."""
    kind = getattr(client, model)
    names = {name: attribute for attribute, name in kind.attribute_map.items()}
    for key, value in written.items():
        if key not in names:
            yield f"{model} has no {key}"
            continue
        of = kind.openapi_types[names[key]]
        inner = re.fullmatch(r"(?:list\[|dict\(str, )?(V1\w+)[\])]?", of)
        if inner and isinstance(value, dict | list):
            each = value if isinstance(value, list) else value.values() if of.startswith("dict") else [value]
            for one in each:
                yield from unknown(one, inner[1])
    try:
        kind(**{names[key]: value for key, value in written.items() if key in names})
    except ValueError as error:
        yield str(error)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_manifests(path: Path) -> None:
    """Each has keys that Kubernetes knows, at every depth, and those that it requires."""
    for manifest in yaml.safe_load_all(path.read_text()):
        assert list(unknown(manifest, KINDS[manifest["kind"]])) == []
        spoiled = json.loads(json.dumps(manifest).replace('"name"', '"nane"'))
        assert list(unknown(spoiled, KINDS[manifest["kind"]])) != []


def test_the_kustomization_lists_what_is_there() -> None:
    """Every manifest, and the image by the name that they have."""
    kustomization = read("dagster/kustomize/kustomization.yaml")

    assert sorted(kustomization["resources"]) == [path.name for path in MANIFESTS]
    [image] = kustomization["images"]
    used = {
        container["image"]
        for path in MANIFESTS
        for manifest in yaml.safe_load_all(path.read_text())
        for container in manifest["spec"].get("template", {}).get("spec", {}).get("containers", ())
    }
    assert used == {image["name"]}


def test_the_compose_file_hangs_together() -> None:
    """Services wait for ones that exist, mounts are there, and the code is where the workspace says."""
    compose = read("celery/compose.yaml")
    services = compose["services"]

    for service in services.values():
        assert set(service.get("depends_on", ())) <= services.keys()
        mounted = [volume.split(":")[0] for volume in service.get("volumes", ())]
        assert all(
            (DEPLOY / "celery" / each).exists() if each[0] == "." else each in compose["volumes"]
            for each in mounted
        )
    [place] = [each["grpc_server"] for each in read("celery/workspace.yaml")["load_from"]]
    command = services[place["host"]]["command"]
    assert command[command.index("-p") + 1] == str(place["port"])
    given = services["daemon"]["environment"]
    named = re.findall(r"env: (\w+)", (DEPLOY / "celery" / "dagster.yaml").read_text())
    assert set(named) <= given.keys()


def test_every_variable_is_one() -> None:
    """Each name of ours stands in the reference, and each channel is one."""
    reference = document("docs/reference.md").text
    texts = {path: path.read_text() for path in DEPLOY.rglob("*") if path.is_file()}
    wrong = {
        f"{path.relative_to(DEPLOY)}: {name}"
        for path, text in texts.items()
        for name in set(VARIABLE.findall(text)) - FOREIGN
        if f"`{name}`" not in reference
    }
    channels = [each for text in texts.values() for each in re.findall(r"PARITY_CHANNEL[=:]\s*(\w+)", text)]
    channels += re.findall(r"name: PARITY_CHANNEL\n\s+value: (\w+)", "\n".join(texts.values()))

    assert wrong == set()
    assert set(channels) == {"variable"} <= set(CHANNELS)
    assert Settings({"PARITY_CHANNEL": "variable"}).channel == "variable"


def test_every_command_is_one() -> None:
    """What containers start of ours exists."""
    known = get_command(app)
    for words in re.findall(
        r'\["parity", ([^\]]*)\]', "\n".join(path.read_text() for path in DEPLOY.rglob("*.yaml"))
    ):
        command: Any = known
        for word in json.loads(f"[{words}]"):
            command = command.commands[word]


def test_the_readme_names_every_file() -> None:
    """By a link that leads there."""
    text = (DEPLOY / "README.md").read_text()
    links = set(re.findall(r"\]\(([^)#]+)", text))
    assert all((DEPLOY / link).resolve().exists() for link in links)
    linked = {(DEPLOY / link).resolve().parent for link in links} | {DEPLOY}
    files = [path for path in DEPLOY.rglob("*") if path.is_file() and path.name != "README.md"]
    assert [path for path in files if path.parent not in linked] == []
    assert "not run on a cluster" in text
