"""A container on Docker, by Dagster Pipes. Needs the package dagster-docker."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any, cast

import dagster as dg
import docker
from dagster._core.pipes.utils import extract_message_or_forward_to_file
from dagster_docker.pipes import PipesDockerClient, PipesDockerLogsMessageReader
from dagster_pipes import DagsterPipesError
from docker.errors import DockerException, NotFound
from requests import RequestException
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

STOP_SECONDS = 20  # between asking a container to end and killing it
# Docker's client passes on what its connection raises.
_ERRORS = (DockerException, RequestException, HTTPError, ConnectionError)


def run_in_docker(context: dg.AssetExecutionContext, container: Container, log: Log) -> tuple[int, Facts]:
    """Its exit code, and what it has reported. `DOCKER_HOST` says where it runs.

    However the run ends, it removes its container; what a killed run has left of the same work is removed first.
    Raises ContainerFailed if Docker cannot be reached, or refuses.
    """
    mark = secrets.token_hex(8)
    options = {**container.options, "labels": container.labels_of_try(context.run.run_id, mark)}
    if container.entrypoint:
        options["entrypoint"] = list(container.entrypoint)
    with LogFile(log).kept_up() as file:
        reader = _Reader(file)
        try:
            _remove_left_behind(context, container)
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
        except _ERRORS as error:
            raise ContainerFailed(container.unit, "Docker", _first_line(error)) from error
        finally:
            _remove_own(context, mark)


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


def _remove_left_behind(context: dg.AssetExecutionContext, container: Container) -> None:
    for left in _labelled(tags.CONTAINER_WORK, container.work):
        if is_left_behind(context, f"container {left.short_id}", left.labels):
            _remove(left)


def _remove_own(context: dg.AssetExecutionContext, mark: str) -> None:
    """By the label of this try, which was perhaps interrupted before anybody knew the container's id."""
    try:
        for own in _labelled(tags.CONTAINER_TRY, mark):
            _remove(own)
    except _ERRORS as error:
        context.log.warning(
            f"the container of this try may be left: {_first_line(error)}. Remove what has the label "
            f"{tags.CONTAINER_TRY}={mark}; the next run of the same work does it, too"
        )


def _labelled(label: str, value: str) -> Sequence[Any]:
    containers = docker.client.from_env().containers
    return cast(
        "Sequence[Any]",
        containers.list(all=True, ignore_removed=True, filters={"label": f"{label}={value}"}),
    )


def _remove(container: Any) -> None:
    with contextlib.suppress(DockerException):
        container.stop(timeout=STOP_SECONDS)
    with contextlib.suppress(NotFound):
        container.remove(force=True, v=True)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
