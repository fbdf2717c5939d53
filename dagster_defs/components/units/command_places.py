"""Where a unit's command runs, if not in this project's environment: on another host, or in a container."""

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

import dagster as dg

from dagster_defs.adapters.containers.container import Container, Facts
from dagster_defs.adapters.processes.piped import Log
from dagster_defs.adapters.processes.remote import Host
from dagster_defs.errors import BadUnit

# What would replace, on both sides alike, what a run gives to its container: Docker's client lets its options win.
_OF_CONTAINER = {"image": "image", "entrypoint": "entrypoint", "command": "command", "environment": "env"}
_OF_RUN = ("labels", "name", "detach", "auto_remove")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# The package behind each engine, and the fields of the operator that a mirror has, by what they are called here.
PACKAGES = {"docker": "dagster_docker", "kubernetes": "dagster_k8s"}
EXTRAS = {"docker": "docker", "kubernetes": "k8s"}
_OF_OPERATOR = {
    "docker": {"image": "image", "command": "command", "env": "environment"},
    "kubernetes": {"image": "image", "entrypoint": "cmds", "command": "arguments", "env": "env_vars"},
}


@dataclass
class SshPlace(dg.Resolvable):
    """Another host, which the `ssh` executable reaches with its own configuration, keys and known hosts."""

    host: Annotated[str, dg.Resolver.default(description="The host, or an alias of ssh's own configuration.")]
    user: Annotated[str, dg.Resolver.default(description="The user there; by default ssh's.")] = ""
    port: Annotated[int | None, dg.Resolver.default(description="By default ssh's.")] = None
    key_file: Annotated[
        str,
        dg.Resolver.default(
            description="A private key, relative to the project; by default ssh's own or the agent's."
        ),
    ] = ""
    options: Annotated[
        Mapping[str, str],
        dg.Resolver.default(
            description="More options of ssh's, as in its configuration.", examples=[{"ProxyJump": "bastion"}]
        ),
    ] = field(default_factory=dict)

    def host_from(self, root: Path) -> Host:
        """`root`: the project's folder."""
        key = str((root / self.key_file).resolve()) if self.key_file else ""
        return Host(self.host, self.user, self.port, key, {**self.options})

    def refuse_faults(self, unit: str, variables: Sequence[str]) -> None:
        """Raises BadUnit for what ssh or a shell would take for something else; `variables` are the command's names."""
        if not self.host.strip() or self.host.startswith("-"):
            raise BadUnit(unit, f"`ssh.host` is {self.host!r}", "Name a host")
        for name in variables:
            if not _NAME.fullmatch(name):
                raise BadUnit(unit, f"{name!r} is no name of a variable in a shell", "Correct it in its YAML")
        if shutil.which("ssh") is None:
            raise BadUnit(
                unit, "`ssh` needs the program ssh, which is not on PATH", "Install an OpenSSH client"
            )


@dataclass
class ContainerPlace(dg.Resolvable):
    """A container on Docker or on Kubernetes, run by Dagster Pipes."""

    engine: Annotated[
        Literal["docker", "kubernetes"],
        dg.Resolver.default(
            description=(
                "What runs it; `docker` needs the package `airflow-parity[docker]`, `kubernetes` needs "
                "`airflow-parity[k8s]`."
            )
        ),
    ]
    image: Annotated[
        str,
        dg.Resolver.passthrough(
            description="The operator's image; a template.", examples=["shop/export:2.1"]
        ),
    ]
    entrypoint: Annotated[
        Sequence[str],
        dg.Resolver.passthrough(
            description=(
                "In place of the image's own: a DockerOperator's entrypoint, which is no template, or a "
                "KubernetesPodOperator's cmds, which are."
            )
        ),
    ] = field(default_factory=list)
    command: Annotated[
        str | Sequence[str],
        dg.Resolver.passthrough(
            description=(
                "What the entrypoint gets: a DockerOperator's command, or a KubernetesPodOperator's arguments, "
                "which are a list; templates."
            ),
            examples=[["--day", "{{ ds }}"]],
        ),
    ] = field(default_factory=list)
    env: Annotated[
        Mapping[str, str],
        dg.Resolver.passthrough(
            description="The operator's environment or env_vars; the values are templates."
        ),
    ] = field(default_factory=dict)
    options: Annotated[
        Mapping[str, Any],
        dg.Resolver.passthrough(
            description=(
                "Docker: arguments of `containers.create` of Docker's Python SDK. Kubernetes: the pod's spec to begin "
                "with, whose first container is this one."
            ),
            examples=[{"network_mode": "host"}, {"service_account_name": "etl"}],
        ),
    ] = field(default_factory=dict)
    namespace: Annotated[
        str, dg.Resolver.default(description="Kubernetes: the pod's namespace; by default the run's own.")
    ] = ""
    pod_metadata: Annotated[
        Mapping[str, Any],
        dg.Resolver.passthrough(description="Kubernetes: labels and annotations of the pod."),
    ] = field(default_factory=dict)
    kubeconfig: Annotated[
        str,
        dg.Resolver.default(
            description="Kubernetes: a kubeconfig file; by default the cluster that the run is in, or the user's."
        ),
    ] = ""
    context: Annotated[
        str, dg.Resolver.default(description="Kubernetes: a context of the kubeconfig; by default its own.")
    ] = ""

    @property
    def templates(self) -> dict[str, Any]:
        """The operator's templated fields, by its own names."""
        given = {"image": self.image, "entrypoint": self.entrypoint, "command": self.command, "env": self.env}
        return {
            theirs: {"template": given[ours]}
            for ours, theirs in _OF_OPERATOR[self.engine].items()
            if given[ours]
        }

    def rendered(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """`templates` once they are rendered, by the names that they have here."""
        return {
            ours: values[theirs] for ours, theirs in _OF_OPERATOR[self.engine].items() if theirs in values
        }

    def refuse_faults(self, unit: str) -> None:
        """Raises BadUnit for what contradicts itself, and if the engine's package is not installed."""
        if not self.image.strip():
            raise BadUnit(unit, "`container.image` is empty", "Name the operator's image")
        if self.engine == "kubernetes" and isinstance(self.command, str):
            reason = "`container.command` is a text, and a pod's arguments are a list"
            raise BadUnit(unit, reason, "Write each argument as an element of a list")
        named = ("namespace", "pod_metadata", "kubeconfig", "context")
        if self.engine == "docker" and (given := [name for name in named if getattr(self, name)]):
            raise BadUnit(unit, f"`container.{given[0]}` is only for Kubernetes", "Remove it")
        if self.engine == "docker":
            self._refuse_options_of_docker(unit)
        else:
            self._refuse_more_containers(unit)
        package = PACKAGES[self.engine]
        if find_spec(package) is None:
            reason = f"`container` needs {package.replace('_', '-')}, which is not installed"
            raise BadUnit(unit, reason, f"Install it: pip install 'airflow-parity[{EXTRAS[self.engine]}]'")

    def _refuse_options_of_docker(self, unit: str) -> None:
        for theirs, ours in _OF_CONTAINER.items():
            if theirs in self.options:
                reason = f"`container.options.{theirs}` would replace what each side gives to its container"
                raise BadUnit(unit, reason, f"Write it as `container.{ours}`")
        if own := [name for name in _OF_RUN if name in self.options]:
            reason = f"`container.options.{own[0]}` is the run's own, which names, labels and removes its container"
            raise BadUnit(unit, reason, "Remove it")

    def _refuse_more_containers(self, unit: str) -> None:
        """Dagster Pipes gives a side's variables to the first container alone, and sets no image beside others."""
        several = {"containers": 1, "init_containers": 0, "initContainers": 0}
        for name, most in several.items():
            if len(self.options.get(name) or ()) > most:
                reason = f"`container.options.{name}` has containers that would run without the side's own variables"
                raise BadUnit(unit, reason, "Declare one container, or keep the task as a LegacyTask")

    def run(
        self,
        context: dg.AssetExecutionContext,
        unit: str,
        rendered: Mapping[str, Any],
        env: Mapping[str, str],
        labels: Mapping[str, str],
        log: Log,
    ) -> tuple[int, Facts]:
        """Its exit code, and what its program has reported by Dagster Pipes. Raises ContainerFailed."""
        given = self.rendered(rendered)
        container = Container(
            unit,
            given["image"],
            given.get("entrypoint", self.entrypoint),
            given.get("command", ()),
            env,
            labels,
            self.options,
        )
        # Each engine's package is an extra, which is imported by who uses it.
        if self.engine == "docker":
            from dagster_defs.adapters.containers.docker import run_in_docker

            return run_in_docker(context, container, log)
        from dagster_defs.adapters.containers.kubernetes import Cluster, run_in_kubernetes

        cluster = Cluster(self.namespace, self.kubeconfig, self.context, self.pod_metadata)
        return run_in_kubernetes(context, container, cluster, log)
