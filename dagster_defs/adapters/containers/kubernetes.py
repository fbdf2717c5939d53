"""A container in a pod on Kubernetes, by Dagster Pipes. Needs the package dagster-k8s."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from dagster_k8s.client import DagsterK8sError, DagsterKubernetesClient
from dagster_k8s.pipes import PipesK8sClient, PipesK8sPodLogsMessageReader
from dagster_k8s.utils import sanitize_k8s_label
from kubernetes.client import CoreV1Api
from kubernetes.client.exceptions import ApiException, OpenApiException
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

from dagster_defs.adapters.containers.container import SAYS_NOTHING, Container, Facts, LogFile, facts_of
from dagster_defs.adapters.processes.piped import Log
from dagster_defs.errors import ContainerFailed

POLL_SECONDS = 2.0
_ERRORS = (OpenApiException, ApiException, ConfigException, HTTPError)


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
    """Its exit code, and what it has reported. The pod's spec begins as the container's options; however the run ends,
    the pod is deleted.

    Raises ContainerFailed if the pod cannot be made, or does not start.
    """
    with LogFile(log).kept_up() as file:
        client = _Client(file, cluster)
        try:
            invocation = client.run(
                context=context,
                image=container.image,
                command=list(container.entrypoint) or None,
                env=container.env,
                namespace=cluster.namespace or None,
                base_pod_meta=_with_labels(cluster.pod_metadata, container.labels),
                base_pod_spec=_with_arguments(container),
                pod_wait_timeout=0,  # the unit's own time-out is the limit
            )
            return 0, facts_of(invocation.get_results(implicit_materializations=False))
        except DagsterK8sError as error:
            if not client.code:
                raise ContainerFailed(container.unit, "Kubernetes", str(error).splitlines()[0]) from error
            return client.code, {}
        except _ERRORS as error:
            raise ContainerFailed(container.unit, "Kubernetes", " ".join(str(error).split())) from error


class _Client(PipesK8sClient):
    """Knows the exit code of the pod's first container when the pod is gone."""

    def __init__(self, file: LogFile, cluster: Cluster) -> None:
        self.code: int | None = None
        self._reader = _Reader(file)
        super().__init__(
            message_reader=self._reader,
            kubeconfig_file=cluster.kubeconfig or None,
            kube_context=cluster.context or None,
            poll_interval=POLL_SECONDS,
        )

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


def _exit_code(api: CoreV1Api, namespace: str, pod_name: str) -> int | None:
    """None if the container has not ended."""
    statuses = api.read_namespaced_pod(pod_name, namespace).status.container_statuses or []
    ended = statuses[0].state.terminated if statuses else None
    return None if ended is None else int(ended.exit_code)


def _with_labels(metadata: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    own = {name: sanitize_k8s_label(value) for name, value in labels.items()}
    return {**metadata, "labels": {**own, **metadata.get("labels", {})}}


def _with_arguments(container: Container) -> dict[str, Any]:
    """The pod's spec with what the entrypoint gets, which Pipes has no parameter for."""
    first, *others = container.options.get("containers") or [{}]
    arguments = {"args": list(container.command)} if container.command else {}
    return {**container.options, "containers": [{**first, **arguments}, *others]}
