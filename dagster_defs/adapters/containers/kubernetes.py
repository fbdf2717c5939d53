"""A container in a pod on Kubernetes, by Dagster Pipes. Needs the package dagster-k8s."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import dagster as dg
from dagster_k8s.client import (
    DagsterK8sAPIRetryLimitExceeded,
    DagsterK8sError,
    DagsterK8sUnrecoverableAPIError,
    DagsterKubernetesClient,
)
from dagster_k8s.pipes import PipesK8sClient, PipesK8sPodLogsMessageReader
from dagster_k8s.utils import detect_current_namespace, sanitize_k8s_label
from kubernetes.client import CoreV1Api
from kubernetes.client.exceptions import ApiException, OpenApiException
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

from dagster_defs.adapters.containers.container import (
    SAYS_NOTHING,
    Container,
    Facts,
    LogFile,
    facts_of,
    is_left_behind,
)
from dagster_defs.adapters.processes.piped import Log
from dagster_defs.errors import ContainerFailed
from dagster_defs.lifecycle import tags

POLL_SECONDS = 2.0
GONE_SECONDS = 120  # for a deleted pod to be gone, whose grace period is 30 seconds if its spec has no other
_NOT_FOUND = 404
_WRAPPED = (DagsterK8sUnrecoverableAPIError, DagsterK8sAPIRetryLimitExceeded)
_ERRORS = (OpenApiException, ApiException, ConfigException, HTTPError, *_WRAPPED)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where pods run; what is empty is as in Dagster's `PipesK8sClient`: the cluster that the run itself is in, else
    what the kubeconfig names."""

    namespace: str = ""
    kubeconfig: str = ""
    context: str = ""
    pod_metadata: Mapping[str, Any] = field(default_factory=dict)


def run_in_kubernetes(
    context: dg.AssetExecutionContext, container: Container, cluster: Cluster, log: Log
) -> tuple[int, Facts]:
    """Its exit code, and what it has reported. The pod's spec begins as the container's options.

    However the run ends, it deletes its pod; what a killed run or an earlier try has left of the same work is deleted
    first. Raises ContainerFailed if that is not gone in time, or the pod cannot be made, or does not start.
    """
    mark = secrets.token_hex(8)
    with LogFile(log).kept_up() as file:
        client = _Client(file, cluster)
        try:
            _delete_left_behind(context, container, client.api, client.namespace)
            invocation = client.run(
                context=context,
                image=container.image,
                command=list(container.entrypoint) or None,
                env=container.env,
                namespace=client.namespace,
                base_pod_meta=_with_labels(
                    cluster.pod_metadata, container.labels_of_try(context.run.run_id, mark)
                ),
                base_pod_spec=_with_arguments(container),
                delete_pod_on_completion=False,  # by its label instead, also if nobody knew its name yet
                pod_wait_timeout=0,  # the unit's own time-out is the limit
            )
            return 0, facts_of(invocation.get_results(implicit_materializations=False))
        except DagsterK8sError as error:
            if not client.code:
                raise ContainerFailed(container.unit, "Kubernetes", _reason(error)) from error
            return client.code, {}
        except _ERRORS as error:
            # Not "from" it: the run would show its text.
            raise ContainerFailed(container.unit, "Kubernetes", _reason(error)) from None
        finally:
            _delete_own(context, client, mark)


class _Client(PipesK8sClient):
    """Knows the exit code of the pod's first container when the pod is gone."""

    def __init__(self, file: LogFile, cluster: Cluster) -> None:
        self.code: int | None = None
        self._reader = _Reader(file)
        self._named_namespace = cluster.namespace
        super().__init__(
            message_reader=self._reader,
            kubeconfig_file=cluster.kubeconfig or None,
            kube_context=cluster.context or None,
            poll_interval=POLL_SECONDS,
        )

    @property
    def namespace(self) -> str:
        return self._named_namespace or detect_current_namespace(self.kubeconfig_file) or "default"

    @property
    def api(self) -> CoreV1Api:
        ours, factory = cast("Any", self), cast("Any", DagsterKubernetesClient)  # neither method has types
        ours._load_k8s_config()
        return cast("CoreV1Api", factory.production_client().core_api)

    @contextlib.contextmanager
    def consume_pod_logs(
        self,
        context: Any,
        client: DagsterKubernetesClient,
        namespace: str,
        pod_name: str,
        enable_multi_container_logs: bool = False,
        ignore_containers: set[Any] | None = None,
    ) -> Iterator[None]:
        try:
            with super().consume_pod_logs(
                context, client, namespace, pod_name, enable_multi_container_logs, ignore_containers
            ):
                yield
        except DagsterK8sError:
            self.code = _exit_code(client.core_api, namespace, pod_name)
            if self.code is not None and not self._reader.has_read:  # it ended before it was seen running
                self._reader.consume_pod_logs(context, client.core_api, pod_name, namespace)
            raise


class _Reader(PipesK8sPodLogsMessageReader):
    def __init__(self, file: LogFile) -> None:
        self._file = file
        self.has_read = False

    def consume_pod_logs(self, *arguments: Any, **more: Any) -> None:
        self.has_read = True
        with contextlib.redirect_stdout(self._file):
            super().consume_pod_logs(*arguments, **more)

    def no_messages_debug_text(self) -> str:
        return SAYS_NOTHING


def _reason(error: Exception) -> str:
    """Of what the API has answered only the status: its headers and its body may have secrets."""
    if isinstance(error, _WRAPPED):
        return _reason(error.k8s_api_exception)
    if isinstance(error, ApiException):
        return f"its API answers {error.status} {error.reason}"
    return " ".join(str(error).splitlines()[:1]) or type(error).__name__


def _delete_left_behind(
    context: dg.AssetExecutionContext, container: Container, api: CoreV1Api, namespace: str
) -> None:
    for pod in _labelled(api, namespace, tags.CONTAINER_WORK, container.work):
        name = pod.metadata.name
        if not is_left_behind(context, f"pod {name}", pod.metadata.labels):
            continue
        _delete(api, namespace, name)
        until = time.monotonic() + GONE_SECONDS
        while _exists(api, namespace, name):
            if time.monotonic() > until:
                reason = f"pod {name} of an earlier run is deleted, but has not ended in {GONE_SECONDS} s"
                raise ContainerFailed(container.unit, "Kubernetes", reason)
            time.sleep(POLL_SECONDS)


def _delete_own(context: dg.AssetExecutionContext, client: _Client, mark: str) -> None:
    try:
        api, namespace = client.api, client.namespace
        for pod in _labelled(api, namespace, tags.CONTAINER_TRY, mark):
            _delete(api, namespace, pod.metadata.name)
    except _ERRORS as error:
        context.log.warning(
            f"the pod of this try may be left: {_reason(error)}. Delete what has the label "
            f"{tags.CONTAINER_TRY}={mark}; the next run of the same work does it, too"
        )


def _labelled(api: CoreV1Api, namespace: str, label: str, value: str) -> list[Any]:
    return list(api.list_namespaced_pod(namespace, label_selector=f"{label}={value}").items)


def _delete(api: CoreV1Api, namespace: str, name: str) -> None:
    with _or_gone():
        api.delete_namespaced_pod(name, namespace)


def _exists(api: CoreV1Api, namespace: str, name: str) -> bool:
    with _or_gone():
        api.read_namespaced_pod(name, namespace)
        return True
    return False


@contextlib.contextmanager
def _or_gone() -> Iterator[None]:
    try:
        yield
    except ApiException as error:
        if error.status != _NOT_FOUND:
            raise


def _exit_code(api: CoreV1Api, namespace: str, pod_name: str) -> int | None:
    """None if the container has not ended."""
    statuses = api.read_namespaced_pod(pod_name, namespace).status.container_statuses or []
    ended = statuses[0].state.terminated if statuses else None
    return None if ended is None else int(ended.exit_code)


def _with_labels(metadata: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    own = {name: sanitize_k8s_label(value) for name, value in labels.items()}
    return {**metadata, "labels": {**metadata.get("labels", {}), **own}}


def _with_arguments(container: Container) -> dict[str, Any]:
    """The pod's spec with what the entrypoint gets, which Pipes has no parameter for."""
    [first] = container.options.get("containers") or [{}]
    arguments = {"args": list(container.command)} if container.command else {}
    env = [each for each in first.get("env") or [] if each.get("name") not in container.env]
    return {**container.options, "containers": [{**first, **arguments, "env": env}]}
