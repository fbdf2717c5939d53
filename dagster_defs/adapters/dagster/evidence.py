"""Verdicts in Dagster's event log: how a check is stored as an asset check's metadata, and read back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster_defs.adapters.dagster.event_log import EventReader, instant
from dagster_defs.errors import EvidenceUnreadable, ParityError
from dagster_defs.escape import markdown
from dagster_defs.lifecycle.tags import CHECK, OCCURRED, SHOWN_RUN, SHOWN_RUN_ID, WINDOW_END, WINDOW_START
from dagster_defs.lifecycle.verdicts import Evidence, WindowCheck, standing_evidence
from dagster_defs.parity import Sample
from dagster_defs.windows import Moment, Occasion

if TYPE_CHECKING:
    import dagster as dg

PARITY = "parity"  # the name of the asset check on every compared shadow
SHADOW = "shadow"  # first part of the key of everything that a candidate run writes
SAMPLES, CELL = 10, 80  # rows shown, and characters of one value


def evidence_metadata(
    checked: WindowCheck,
    window: Moment,
    *,
    airflow_run: str,
    dbt_tests: str,
    occurred: datetime | None = None,
) -> dict[str, Any]:
    """Metadata for people to read, and under `parity/check` the whole check to be read back. `occurred`: when legacy's
    run without a window began."""
    import dagster as dg

    check = checked.check
    metadata: dict[str, Any] = {
        "verdict": check.verdict_said,
        "reason": check.reason,
        "legacy rows": check.rows.legacy,
        "candidate rows": check.rows.candidate,
        "only in legacy": check.only_in_legacy,
        "only in candidate": check.only_in_candidate,
        "modified": check.modified,
        "differing columns": ", ".join(check.differing_columns) or "none",
        "tolerated": ", ".join(f"{name} {count:,}" for name, count in check.tolerated.items()) or "none",
        "schema differences": ", ".join(
            f"{difference.column} ({difference.kind})" for difference in check.schema_differences
        )
        or "none",
        "key violations": check.key_violations.total,
        "rows without time": check.null_time_rows.total,
        "dbt tests": dbt_tests,
        CHECK: dg.MetadataValue.json(_bounded(checked)),
    }
    if isinstance(window, Occasion):
        metadata[SHOWN_RUN_ID] = window.run_id
        metadata |= {OCCURRED: dg.MetadataValue.timestamp(occurred.timestamp())} if occurred else {}
    else:
        metadata[WINDOW_START] = dg.MetadataValue.timestamp(window.start.timestamp())
        metadata[WINDOW_END] = dg.MetadataValue.timestamp(window.end.timestamp())
    if check.samples:
        metadata["samples"] = dg.MetadataValue.md(samples_table(check.samples))
    if airflow_run:
        metadata[SHOWN_RUN] = dg.MetadataValue.url(airflow_run)
    return metadata


def samples_table(samples: Sequence[Sample]) -> str:
    """Differing rows as a Markdown table; long values and long tables are truncated."""
    lines = ["| | row | column | legacy | candidate |", "|---|---|---|---|---|"]
    for sample in samples[:SAMPLES]:
        kind = str(sample["kind"]).replace("_", " ")
        if sample["kind"] == "modified":
            where = _cell(", ".join(f"{name}={value}" for name, value in sample["key"].items()))
            for column, values in sample["columns"].items():
                cells = (_cell(column), _cell(values["legacy"]), _cell(values["candidate"]))
                lines.append(f"| {kind} | {where} | {' | '.join(cells)} |")
        else:
            row = _cell(", ".join(f"{name}={value}" for name, value in sample["row"].items()), 4 * CELL)
            lines.append(f"| {kind} | {row} | | | |")
    if len(samples) > SAMPLES:
        lines.append(f"\n{len(samples) - SAMPLES} more samples: `parity explain`")
    return "\n".join(lines)


def read_evidence(instance: dg.DagsterInstance) -> list[Evidence]:
    """The verdicts in the event log that count: see `standing_evidence`."""
    import dagster as dg

    kept: list[Evidence] = []
    for key in instance.get_asset_keys(prefix=[SHADOW]):
        kept.extend(_of_check(instance, dg.AssetCheckKey(key, PARITY)))
    return standing_evidence(kept)


def evidence_at(home: Path | None) -> list[Evidence] | None:
    """The evidence in the event log of that DAGSTER_HOME; None without one.

    Raises EvidenceUnreadable if its storage does not answer.
    """
    if home is None:
        return None
    with instance_at(home) as instance:
        try:
            return read_evidence(instance)
        except ParityError:
            raise
        except Exception as error:  # Dagster's storages have no common base class for their errors
            raise EvidenceUnreadable(home, _first_line(error)) from error


@contextmanager
def instance_at(home: Path) -> Iterator[dg.DagsterInstance]:
    """The Dagster instance of a folder. Raises EvidenceUnreadable if it cannot be opened."""
    import dagster as dg

    try:
        opened = dg.DagsterInstance.from_config(str(home))
    except Exception as error:  # Dagster's storages have no common base class for their errors
        raise EvidenceUnreadable(home, _first_line(error)) from error
    with opened as instance:
        yield instance


def _first_line(error: Exception) -> str:
    """The first line of an error that may have no text at all."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _of_check(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> Iterator[Evidence]:
    """The newest verdict on each partition, or run without a window, across any number of evaluations."""
    seen: set[str | None] = set()
    for event in EventReader(instance).evaluations(key):
        about = event.partition or event.noted.get(SHOWN_RUN_ID)
        if CHECK not in event.noted or about in seen:
            continue
        seen.add(about)
        began = event.noted.get(WINDOW_START, event.noted.get(OCCURRED))
        yield Evidence(
            WindowCheck.from_json(event.noted[CHECK]),
            partition=about or "",
            window_start=event.at if began is None else instant(began),
            at=event.at,
            run=event.run_id,
            airflow_run=str(event.noted.get(SHOWN_RUN, "")),
        )


def _bounded(checked: WindowCheck) -> Mapping[str, Any]:
    """The check, with only as many samples as are shown, and no value longer than a few cells."""
    document = dict(checked.as_json())
    document["samples"] = [_cut(sample) for sample in document["samples"][:SAMPLES]]
    return document


def _cut(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _cut(inner) for name, inner in value.items()}
    return value[: 4 * CELL] if isinstance(value, str) else value


def _cell(value: Any, most: int = CELL) -> str:
    """A value for a Markdown table: on one line, truncated, and unable to end its cell."""
    text = "NULL" if value is None else str(value)
    text = text if len(text) <= most else text[: most - 1] + "…"
    return markdown(" ".join(text.split()))
