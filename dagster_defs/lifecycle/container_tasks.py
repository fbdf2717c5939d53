"""What of a task that starts a container is known well enough for a `CommandUnit`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster_defs.inventory.document import Dag, Task
from dagster_defs.inventory.legacy_task import Better
from dagster_defs.inventory.team import FILE, Cluster
from dagster_defs.inventory.unsaid import NOBODY_HAS_SAID
from dagster_defs.lifecycle.command_tasks import COMMAND_UNIT
from dagster_defs.lifecycle.operator_facets import by_name
from dagster_defs.lifecycle.task_drafts import (
    Undetermined,
    kind_of,
    refuse_given,
    refuse_undetermined,
    skips_of,
    texts_in,
)

_PODS = frozenset({"KubernetesPodOperator", "EksPodOperator", "GKEStartPodOperator"})
_DEFAULT_CONNECTION = "kubernetes_default"
_DEFAULT_SOCKET = ("unix://var/run/docker.sock", "unix:///var/run/docker.sock")

# By the operator's names, those of Docker's SDK. `cpus` and the temporary folder are translated.
_OF_DOCKER = {
    name: name
    for name in (
        "network_mode", "working_dir", "user", "mounts", "mem_limit", "shm_size", "dns", "dns_search", "cap_add",
        "extra_hosts", "privileged", "hostname", "tty", "ipc_mode",
    )
}  # fmt: skip
_DOCKER = frozenset({
    *_OF_DOCKER, "image", "command", "environment", "entrypoint", "skip_on_exit_code", "cpus", "docker_url",
    "mount_tmp_dir", "tmp_dir",
})  # fmt: skip
# What becomes of its name, its logs and its remains is Dagster's own affair.
_AROUND_DOCKER = frozenset({
    "auto_remove", "container_name", "xcom_all", "timeout", "log_opts_max_size", "log_opts_max_file", "api_version",
    "do_xcom_push",
})  # fmt: skip
# By the operator's names, those of Kubernetes.
_OF_SPEC = {
    "service_account_name": "service_account_name",
    "automount_service_account_token": "automount_service_account_token",
    "node_selector": "node_selector",
    "tolerations": "tolerations",
    "affinity": "affinity",
    "image_pull_secrets": "image_pull_secrets",
    "hostnetwork": "host_network",
    "hostname": "hostname",
    "subdomain": "subdomain",
    "host_aliases": "host_aliases",
    "dnspolicy": "dns_policy",
    "dns_config": "dns_config",
    "priority_class_name": "priority_class_name",
    "schedulername": "scheduler_name",
    "runtime_class_name": "runtime_class_name",
    "security_context": "security_context",
    "termination_grace_period": "termination_grace_period_seconds",
    "active_deadline_seconds": "active_deadline_seconds",
    "volumes": "volumes",
}
_OF_FIRST = {
    "volume_mounts": "volume_mounts",
    "container_resources": "resources",
    "image_pull_policy": "image_pull_policy",
    "env_from": "env_from",
    "ports": "ports",
    "container_security_context": "security_context",
    "termination_message_policy": "termination_message_policy",
}
_POD = frozenset({
    *_OF_SPEC, *_OF_FIRST, "image", "cmds", "arguments", "env_vars", "namespace", "labels", "annotations",
    "skip_on_exit_code", "kubernetes_conn_id", "cluster_context", "cluster_name",
})  # fmt: skip
# Names, logs, waiting and remains; on EKS and GKE also how the cluster is reached, which the team's file says.
_AROUND_POD = frozenset({
    "name", "random_name_suffix", "base_container_name", "get_logs", "container_logs", "init_container_logs",
    "log_events_on_failure", "log_events_on_startup", "log_pod_spec_on_failure", "logging_interval", "log_formatter",
    "container_name_log_prefix_enabled", "deferrable", "poll_interval", "startup_timeout_seconds",
    "startup_check_interval_seconds", "schedule_timeout_seconds", "base_container_status_polling_interval",
    "reattach_on_restart", "durable", "on_finish_action", "on_kill_action", "is_delete_operator_pod", "in_cluster",
    "trigger_kwargs",
})  # fmt: skip
_TO_A_CLOUD = frozenset({
    "pod_name", "pod_username", "aws_conn_id", "region", "location", "project_id", "gcp_conn_id",
    "use_internal_ip", "use_dns_endpoint", "impersonation_chain", "config_file",
})  # fmt: skip


def draft_container(dag: Dag, task: Task, *, preferred: bool) -> Better | None:
    """None for an operator of another kind, and if nobody has said where it may run: by the option (`preferred`), where
    Dagster does, or in the team's file."""
    kind = kind_of(task)
    if kind == "DockerOperator":
        draft, where = _in_docker, "on the Docker that DOCKER_HOST names for Dagster"
    elif kind in _PODS:
        draft, where = _in_a_pod, "where Dagster's own pods run"
    else:
        return None
    cluster = None if kind == "DockerOperator" else task.team.clusters.get(_cluster_named(task))
    if not preferred and cluster is None:
        return None
    unit = f"{task.dag_id}.{task.task_id}"
    try:
        attributes = draft(dag, task)
    except Undetermined as why:
        return Better.refused(COMMAND_UNIT, task, why)
    notes = (
        ()
        if cluster
        else (f"{unit} runs {where}: see to it that its image, its network and its rights are there.",)
    )
    return Better(COMMAND_UNIT, attributes, notes)


def _in_docker(dag: Dag, task: Task) -> dict[str, Any]:
    refuse_given(task, _DOCKER | _AROUND_DOCKER)
    fields = {**task.settings, **task.templated}
    command, env = fields.get("command"), fields.get("environment") or {}
    if not isinstance(env, Mapping) or not all(isinstance(value, str) for value in env.values()):
        raise Undetermined("its environment is no mapping of texts")
    if isinstance(command, str) and command.strip().startswith("["):
        raise Undetermined("its command is a list that is written as a text")
    if command is not None and not isinstance(command, str) and not _are_texts(command):
        raise Undetermined("its command is not text")
    image = _image(fields)
    refuse_undetermined(dag, task, {"image": image, "command": command, "environment": dict(env)})
    entrypoint = fields.get("entrypoint") or []
    if not _are_texts(entrypoint):
        raise Undetermined("its entrypoint is no list of words")
    urls = fields.get("docker_url") or ()
    if any(url not in _DEFAULT_SOCKET for url in ([urls] if isinstance(urls, str) else urls)):
        raise Undetermined(
            "it names the Docker that it runs on (docker_url), and a mirror runs where DOCKER_HOST says"
        )
    options = _options(task, fields, _OF_DOCKER)
    if "cpus" in (task.given or ()):
        options["cpu_shares"] = round(float(fields["cpus"]) * 1024)
    variables: dict[str, Any] = {}
    if fields.get("mount_tmp_dir") is not False:
        folder = str(fields.get("tmp_dir") or "/tmp/airflow")  # noqa: S108 - the operator's own default
        # Docker makes the volume, and removes it with the container, as the operator does with its folder.
        options["mounts"] = [*options.get("mounts", ()), {"Type": "volume", "Target": folder}]
        variables = {"env": {"legacy": {"AIRFLOW_TMP_DIR": folder}}}
    container = {
        "engine": "docker",
        "image": image,
        "entrypoint": list(entrypoint),
        "command": command,
        "env": dict(env),
        "options": options,
    }
    return _unit(task, container, variables)


def _in_a_pod(dag: Dag, task: Task) -> dict[str, Any]:
    in_a_cloud = kind_of(task) != "KubernetesPodOperator"
    refuse_given(task, _POD | _AROUND_POD | (_TO_A_CLOUD if in_a_cloud else frozenset()))
    fields = {**task.settings, **task.templated}
    entrypoint, command = fields.get("cmds") or [], fields.get("arguments") or []
    env = by_name(fields.get("env_vars") or {})
    if not (_are_texts(entrypoint) and _are_texts(command)):
        raise Undetermined("its cmds or its arguments are no lists of words")
    if not isinstance(env, Mapping) or not all(isinstance(value, str) for value in env.values()):
        raise Undetermined("its env_vars are no plain values")
    image = _image(fields)
    named = {"image": image, "cmds": entrypoint, "arguments": command, "env_vars": dict(env)}
    refuse_undetermined(dag, task, named)
    first = _options(task, fields, _OF_FIRST)
    spec = _options(task, fields, _OF_SPEC)
    metadata = _options(task, fields, {"labels": "labels", "annotations": "annotations"})
    container = {
        "engine": "kubernetes",
        "image": image,
        "entrypoint": list(entrypoint),
        "command": list(command),
        "env": dict(env),
        "options": {**spec, **({"containers": [first]} if first else {})},
        **_cluster(task, fields, in_a_cloud=in_a_cloud),
        "pod_metadata": metadata,
    }
    return _unit(task, container, {})


def _unit(task: Task, container: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    skips = skips_of(task)
    return {
        **({"params": dict(task.params)} if task.params else {}),
        "container": {name: value for name, value in container.items() if value},
        **({"skip_on_exit_code": skips} if skips else {}),
        **more,
        "shadow": "never",
        "because": NOBODY_HAS_SAID,
    }


def _cluster_named(task: Task) -> str:
    held = {**task.settings, **task.templated}
    return str(held.get("cluster_name") or held.get("kubernetes_conn_id") or _DEFAULT_CONNECTION)


def _cluster(task: Task, fields: Mapping[str, Any], *, in_a_cloud: bool) -> dict[str, Any]:
    name = _cluster_named(task)
    said = task.team.clusters.get(name)
    if said is None and (in_a_cloud or name != _DEFAULT_CONNECTION):
        raise Undetermined(
            f"say in {FILE} how Dagster reaches its cluster: clusters: {{{name}: {{context: …}}}}"
        )
    there = said or Cluster()
    namespace, context = fields.get("namespace") or there.namespace, fields.get("cluster_context")
    if not isinstance(namespace, str) or not namespace or "{{" in namespace:
        raise Undetermined("its namespace is not in the inventory: a Connection or a template decides it")
    if context and (not isinstance(context, str) or "{{" in context):
        raise Undetermined("its cluster_context is a template")
    return {"namespace": namespace, "kubeconfig": there.kubeconfig, "context": there.context or context or ""}


def _options(task: Task, fields: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """What was given of these, by the names that they have where it runs, without what is empty."""
    options = {}
    for theirs, ours in names.items():
        if theirs not in (task.given or ()):
            continue
        value = _plain(fields.get(theirs), theirs)
        if any("{{" in text or "{%" in text for text in texts_in(value)):
            raise Undetermined(f"its {theirs} is a template")
        options[ours] = value
    return options


def _plain(value: Any, name: str) -> Any:
    """Without the classes that the exporter names, and without what they leave empty."""
    if isinstance(value, Mapping):
        if set(value) == {"__class__"} or "***" in str(value):
            raise Undetermined(f"its {name} is not plain, or masked in the inventory")
        return {
            key: _plain(item, name) for key, item in value.items() if key != "__class__" and item is not None
        }
    if isinstance(value, list):
        return [_plain(item, name) for item in value]
    if isinstance(value, str) and "***" in value:
        raise Undetermined(f"its {name} is masked in the inventory")
    return value


def _image(fields: Mapping[str, Any]) -> str:
    image = fields.get("image")
    if not isinstance(image, str) or not image:
        raise Undetermined("its image is not in the inventory")
    return image


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)
