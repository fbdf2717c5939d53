"""Which echoes were tested, in Dagster's own storage of cursors: one document for each DAG."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from dagster_defs.adapters.dagster.evidence import instance_at
from dagster_defs.lifecycle.echo_tests import EchoTest

__all__ = ["keep_echo_test", "kept_echo_tests"]

_PLACE = "parity/echo_test/"


def keep_echo_test(home: Path, test: EchoTest) -> None:
    """Raises EvidenceUnreadable."""
    with instance_at(home) as instance:
        instance.daemon_cursor_storage.set_cursor_values({f"{_PLACE}{test.dag_id}": test.as_text()})


def kept_echo_tests(home: Path, dag_ids: Collection[str]) -> Mapping[str, EchoTest]:
    """By DAG; those that were never tested are missing. Raises EvidenceUnreadable."""
    with instance_at(home) as instance:
        kept = instance.daemon_cursor_storage.get_cursor_values({f"{_PLACE}{dag_id}" for dag_id in dag_ids})
    found: dict[str, EchoTest] = {}
    for place, text in kept.items():
        with suppress(ValueError, KeyError, TypeError):  # what another version has kept is no test
            found[place.removeprefix(_PLACE)] = EchoTest.from_text(text)
    return found
