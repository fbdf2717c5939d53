"""What is known of this package as it is installed."""

from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, requires
from pathlib import Path

from dagster_defs.errors import TwoVersions

NAME = "airflow-parity"


@cache
def own_version() -> str | None:
    """None if this code is on the path without being installed.

    Raises TwoVersions if the path has another version too, or the code of another place than the one installed.
    """
    installed = {str(each.locate_file("")): each for each in Distribution.discover(name=NAME)}
    versions = {place: f"{NAME} {each.version}" for place, each in installed.items()}
    if len(set(versions.values())) > 1:
        raise TwoVersions(versions)
    here = Path(__file__).resolve().parent
    for place, each in installed.items():
        package = Path(place, here.name).resolve()  # an editable installation has none
        if package != here and (package / Path(__file__).name).exists():
            raise TwoVersions(
                {place: f"{NAME} {each.version}", str(here.parent): "another copy, which is imported"}
            )
    return next((each.version for each in installed.values()), None)


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
