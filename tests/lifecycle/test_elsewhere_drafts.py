"""What the scaffold makes of a task that runs a command on another host, or in a container."""

from __future__ import annotations

from typing import Any

import pytest

from dagster_defs.inventory.document import Dag, Schedule, Task
from dagster_defs.inventory.legacy_task import Better
from dagster_defs.inventory.team import Team
from dagster_defs.inventory.unsaid import NOBODY_HAS_SAID
from dagster_defs.lifecycle.container_tasks import draft_container
from dagster_defs.lifecycle.ssh_tasks import draft_ssh

DAILY = Schedule("@daily", "cron", "0 0 * * *", "UTC", False)
NEVER: dict[str, Any] = {"shadow": "never", "because": NOBODY_HAS_SAID}
PROVIDERS = "airflow.providers"
SSH = f"{PROVIDERS}.ssh.operators.ssh.SSHOperator"
DOCKER = f"{PROVIDERS}.docker.operators.docker.DockerOperator"
POD = f"{PROVIDERS}.cncf.kubernetes.operators.pod.KubernetesPodOperator"
EKS = f"{PROVIDERS}.amazon.aws.operators.eks.EksPodOperator"
TEAM = Team.model_validate({
    "hosts": {"etl_host": {"host": "etl.example.com", "user": "etl", "port": 2222}},
    "clusters": {"shop": {"context": "shop-prod"}, "other_cluster": {"namespace": "etl"}},
})  # fmt: skip
READER = Task("orders", "reader", (SSH,), {"command": "{{ ti.xcom_pull(task_ids='export') }}"})


def of_dag(kind: str, fields: dict[str, Any], *others: Task, **more: Any) -> tuple[Dag, Task]:
    """What is no template stands among the settings; everything was given."""
    templates = {"command", "environment", "remote_host", "ssh_conn_id"} if kind == SSH else {
        "image", "command", "environment", "cmds", "arguments", "env_vars", "namespace", "labels", "volumes",
    }  # fmt: skip
    one = Task(
        "orders",
        "export",
        (kind,),
        {name: value for name, value in fields.items() if name in templates},
        settings={name: value for name, value in fields.items() if name not in templates},
        team=TEAM,
        given=more.get("given", tuple(fields)),
    )
    return Dag("orders", DAILY, "UTC", (one, *others)), one


def ssh(*others: Task, given: tuple[str, ...] | None = None, **fields: Any) -> Better:
    fields = {"command": "bin/export {{ ds }}", "ssh_conn_id": "etl_host", **fields}
    more: dict[str, Any] = {} if given is None else {"given": given}
    found = draft_ssh(*of_dag(SSH, fields, *others, **more))
    assert found is not None
    return found


def docker(*others: Task, **fields: Any) -> Better:
    fields = {"image": "shop/export:2", "mount_tmp_dir": False, **fields}
    found = draft_container(*of_dag(DOCKER, fields, *others), preferred=True)
    assert found is not None
    return found


def pod(*others: Task, kind: str = POD, preferred: bool = True, **fields: Any) -> Better | None:
    fields = {"image": "shop/export:2", "namespace": "etl", **fields}
    return draft_container(*of_dag(kind, fields, *others), preferred=preferred)


def test_a_command_on_a_host_that_the_team_has_named() -> None:
    """The Connection is the host of `parity.yaml`, unless the task has one of its own."""
    named: dict[str, Any] = {"host": "etl.example.com", "user": "etl", "port": 2222}

    assert ssh().attributes == {"command": "bin/export {{ ds }}", "ssh": named, **NEVER}
    more = ssh(remote_host="other.example.com", environment={"DAY": "{{ ds }}"}, skip_on_exit_code=[3])
    assert more.attributes == {
        "command": "bin/export {{ ds }}",
        "command_env": {"DAY": "{{ ds }}"},
        "skip_on_exit_code": [3],
        "ssh": {**named, "host": "other.example.com"},
        **NEVER,
    }
    assert "cmd_timeout" in ssh().notes[0]


def test_a_docker_container_has_what_its_operator_has() -> None:
    """And the folder that the operator mounts by default, as a volume that goes with the container."""
    found = docker(
        command=["--day", "{{ ds }}"],
        entrypoint=["export"],
        environment={"LEVEL": "info"},
        network_mode="host",
        mounts=[{"Target": "/data", "Source": "orders", "Type": "volume", "ReadOnly": None}],
        cpus=0.5,
        auto_remove="success",
    )
    assert found.attributes == {
        "container": {
            "engine": "docker",
            "image": "shop/export:2",
            "entrypoint": ["export"],
            "command": ["--day", "{{ ds }}"],
            "env": {"LEVEL": "info"},
            "options": {
                "network_mode": "host",
                "mounts": [{"Target": "/data", "Source": "orders", "Type": "volume"}],
                "cpu_shares": 512,
            },
        },
        **NEVER,
    }
    by_default = docker(mount_tmp_dir=None).attributes
    assert by_default is not None
    assert by_default["container"]["options"] == {"mounts": [{"Type": "volume", "Target": "/tmp/airflow"}]}  # noqa: S108
    assert by_default["env"] == {"legacy": {"AIRFLOW_TMP_DIR": "/tmp/airflow"}}  # noqa: S108


def test_a_pod_has_what_its_operator_has() -> None:
    """Variables by name, and the specification without what the operator leaves empty."""
    found = pod(
        cmds=["export"],
        arguments=["--day", "{{ ds }}"],
        env_vars=[{"__class__": "V1EnvVar", "name": "LEVEL", "value": "info", "value_from": None}],
        service_account_name="etl",
        container_resources={"__class__": "V1ResourceRequirements", "limits": {"cpu": "1"}, "requests": None},
        labels={"team": "orders"},
        get_logs=False,
    )
    assert found is not None
    assert found.attributes == {
        "container": {
            "engine": "kubernetes",
            "image": "shop/export:2",
            "entrypoint": ["export"],
            "command": ["--day", "{{ ds }}"],
            "env": {"LEVEL": "info"},
            "options": {
                "service_account_name": "etl",
                "containers": [{"resources": {"limits": {"cpu": "1"}}}],
            },
            "namespace": "etl",
            "pod_metadata": {"labels": {"team": "orders"}},
        },
        **NEVER,
    }


def test_a_cluster_that_the_team_has_named_needs_no_option() -> None:
    """By its Connection, or by its own name where a cloud has it; every other place has to be asked for."""
    of_connection = pod(kubernetes_conn_id="other_cluster", namespace=None, preferred=False)
    in_the_cloud = pod(kind=EKS, cluster_name="shop", pod_name="export", region="eu-west-1", preferred=False)

    assert of_connection is not None
    assert of_connection.attributes is not None
    assert of_connection.attributes["container"]["namespace"] == "etl"
    assert in_the_cloud is not None
    assert in_the_cloud.attributes is not None
    assert in_the_cloud.attributes["container"]["context"] == "shop-prod"
    assert (of_connection.notes, in_the_cloud.notes) == ((), ())
    assert pod(preferred=False) is None
    assert draft_container(*of_dag(DOCKER, {"image": "shop/export:2"}), preferred=False) is None


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (lambda: ssh(ssh_conn_id="unknown"), "hosts: {unknown: {host: …, user: …}}"),
        (lambda: ssh(ssh_conn_id=None), "its Connection is not in the inventory"),
        (lambda: ssh(given=("command", "ssh_hook")), "a mirror does not have its ssh_hook"),
        (lambda: ssh(get_pty=True), "it asks for a terminal"),
        (lambda: ssh(command="sudo reboot"), "it asks for a terminal"),
        (lambda: ssh(command="bin/export.ksh"), "ends like the name of a file"),
        (lambda: ssh(command="echo {{ var.value.bucket }}"), "var.value.bucket"),
        (lambda: ssh(READER), "reader read its XCom"),
        (lambda: docker(docker_url="tcp://docker.example.com:2375"), "it names the Docker that it runs on"),
        (lambda: docker(docker_conn_id="registry"), "a mirror does not have its docker_conn_id"),
        (lambda: docker(private_environment={"A": "***"}), "a mirror does not have its private_environment"),
        (lambda: docker(command="['a']"), "a list that is written as a text"),
        (lambda: docker(working_dir="/srv/{{ ds }}"), "its working_dir is a template"),
        (lambda: docker(environment={"A": "***"}), "masked in the inventory"),
        (lambda: docker(image=None), "its image is not in the inventory"),
        (lambda: docker(READER), "reader read its XCom"),
        (lambda: pod(pod_mutation_hook=None), "a mirror does not have its pod_mutation_hook"),
        (lambda: pod(full_pod_spec={"__class__": "V1Pod"}), "a mirror does not have its full_pod_spec"),
        (lambda: pod(do_xcom_push=True), "a mirror does not have its do_xcom_push"),
        (lambda: pod(namespace=None), "its namespace is not in the inventory"),
        (lambda: pod(kubernetes_conn_id="far"), "clusters: {far: {context: …}}"),
        (lambda: pod(kind=EKS, cluster_name="unknown"), "clusters: {unknown: {context: …}}"),
        (lambda: pod(affinity={"__class__": "shop.Affinity"}), "its affinity is not plain"),
        (lambda: pod(env_vars=[{"name": "A", "value": None, "value_from": {"x": 1}}]), "no plain values"),
    ],
)
def test_what_is_not_known_stays_as_it_is(found: Any, why: str) -> None:
    """With the reason in a note."""
    better = found()

    assert better.attributes is None
    assert why in better.notes[0]


def test_an_older_inventory_does_not_say_what_was_given() -> None:
    """Nothing is guessed from what it has."""
    for draft in (draft_ssh, lambda dag, task: draft_container(dag, task, preferred=True)):
        kind = SSH if draft is draft_ssh else DOCKER
        better = draft(*of_dag(kind, {"image": "a", "command": "b", "ssh_conn_id": "etl_host"}, given=None))
        assert better is not None
        assert better.attributes is None
        assert "export it again" in better.notes[0]
