"""The version of Airflow's half, which has to go with that of Dagster's."""

from __future__ import annotations

from pathlib import Path

VERSION = Path(__file__).with_name("VERSION").read_text(encoding="utf-8").strip()


def why_apart(dagsters: str | None) -> str:
    """What to do if Dagster's half is of another version (patches apart); empty if it is not. None: it is so old that
    it does not tell its version."""
    if dagsters is not None and _minor(dagsters) == _minor(VERSION):
        return ""
    is_newer = dagsters is not None and _minor(dagsters) > _minor(VERSION)
    remedy = (
        "update airflow-parity-handover here, in Airflow"
        if is_newer
        else "update airflow-parity where Dagster runs"
    )
    return f"Airflow's half of airflow-parity is {VERSION}, Dagster's is {dagsters or 'older'}: {remedy}"


def _minor(version: str) -> list[int]:
    """Empty, and so older than any, for what is no version."""
    parts = version.split(".")[:2]
    return [int(part) for part in parts] if all(part.isdigit() for part in parts) else []
