"""The version of Dagster's half, which has to go with that of Airflow's."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version

from packaging.version import InvalidVersion, Version


@cache
def own_version() -> str | None:
    """As the installed distribution has it; None if this code is on the path without being installed."""
    try:
        return version("airflow-parity")
    except PackageNotFoundError:
        return None


def why_apart(airflows: str | None) -> str:
    """What to do if Airflow's half is of another version (patches apart); empty if it is not, or if this half does not
    know its own. None: it is so old that it does not tell its version."""
    own = own_version()
    if own is None:
        return ""
    if airflows is not None and _minor(airflows) == _minor(own):
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
