"""Both halves of the package, Dagster's and Airflow's, have to be of one version."""

from __future__ import annotations

from packaging.version import InvalidVersion, Version


def why_apart(own: str | None, airflows: str | None) -> str:
    """What to do if Airflow's half is of another version than Dagster's, `own` (patches apart); empty if it is not, or
    if `own` is not known. None for `airflows`: it is so old that it does not tell its version."""
    if own is None or (airflows is not None and _minor(airflows) == _minor(own)):
        return ""
    is_newer = airflows is not None and _minor(airflows) > _minor(own)
    remedy = (
        "update airflow-parity here, where Dagster runs"
        if is_newer
        else "update airflow-parity-handover in Airflow"
    )
    return f"Dagster's half of airflow-parity is {own}, Airflow's is {airflows or 'older'}: {remedy}"


def _minor(text: str) -> tuple[int, ...]:
    """Empty, and so older than any, for what is no version."""
    try:
        return Version(text).release[:2]
    except InvalidVersion:
        return ()
