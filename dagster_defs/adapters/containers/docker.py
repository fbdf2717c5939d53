"""A container on Docker, by Dagster Pipes. Needs the package dagster-docker."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterable, Iterator
from typing import IO, Any, cast

import dagster as dg
import docker
from dagster._core.pipes.utils import extract_message_or_forward_to_file
from dagster_docker.pipes import PipesDockerClient, PipesDockerLogsMessageReader
from dagster_pipes import DagsterPipesError
from docker.errors import DockerException

from dagster_defs.adapters.containers.container import SAYS_NOTHING, Container, Facts, LogFile, facts_of
from dagster_defs.adapters.processes.piped import Log
from dagster_defs.errors import ContainerFailed
from dagster_defs.lifecycle import tags

STOP_SECONDS = 20  # between asking a container to end and killing it


def run_in_docker(context: dg.AssetExecutionContext, container: Container, log: Log) -> tuple[int, Facts]:
    """Its exit code, and what it has reported. However the run ends, no container is left behind; `DOCKER_HOST` says
    where it runs.

    Raises ContainerFailed if Docker cannot be reached, or refuses.
    """
    mark = secrets.token_hex(8)
    options = {**container.options, "labels": {**container.labels, tags.CONTAINER_TRY: mark}}
    if container.entrypoint:
        options["entrypoint"] = list(container.entrypoint)
    with LogFile(log).kept_up() as file:
        reader = _Reader(file)
        try:
            invocation = PipesDockerClient(message_reader=reader).run(
                context=context,
                image=container.image,
                command=container.command or None,
                env=container.env,
                container_kwargs=options,
            )
            return 0, facts_of(invocation.get_results(implicit_materializations=False))
        except DagsterPipesError:
            if reader.container is None:
                raise
            return int(reader.container.wait()["StatusCode"]), {}
        except DockerException as error:
            raise ContainerFailed(container.unit, "Docker", _first_line(error)) from error
        finally:
            _remove(mark)


class _Reader(PipesDockerLogsMessageReader):
    def __init__(self, file: LogFile) -> None:
        self._file = file
        self.container: Any = None

    def consume_docker_logs(self, container: Any) -> None:
        self.container = container
        for line in _lines(container.logs(stdout=True, stderr=True, stream=True, follow=True)):
            extract_message_or_forward_to_file(self._handler, line, cast("IO[str]", self._file))

    def no_messages_debug_text(self) -> str:
        return SAYS_NOTHING


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Docker sends what the program has written in pieces, which need not be lines."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.decode("utf-8", "replace") for line in lines)
    if rest:
        yield rest.decode("utf-8", "replace")


def _remove(mark: str) -> None:
    """The container of this try, which was perhaps interrupted before anybody knew its id."""
    with contextlib.suppress(DockerException):
        client = docker.client.from_env()
        for left in client.containers.list(all=True, filters={"label": f"{tags.CONTAINER_TRY}={mark}"}):
            with contextlib.suppress(DockerException):
                left.stop(timeout=STOP_SECONDS)
            left.remove(force=True, v=True)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
