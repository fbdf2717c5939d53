"""What is known of this package as it is installed."""

from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version

NAME = "airflow-parity"


@cache
def own_version() -> str | None:
    """None if this code is on the path without being installed."""
    try:
        return version(NAME)
    except PackageNotFoundError:
        return None


def required(package: str) -> str:
    """The versions of a package that this one works with, such as `dagster<1.14,>=1.13`; its bare name if this code is
    not installed."""
    try:
        needs = requires(NAME) or ()
    except PackageNotFoundError:
        needs = ()
    return next(
        (each for each in needs if each.startswith(tuple(f"{package}{sign}" for sign in "<>="))), package
    )
