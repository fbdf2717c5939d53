"""The location that is attacked, once for each file of tests."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator

import pytest
import yaml
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget

from tests.components.conftest import observer as observer
from tests.support.attacked import CODE, LOCATION, UNITS, Attacked
from tests.support.instances import instance_for_test


@pytest.fixture(scope="module")
def location(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    root = tmp_path_factory.mktemp("attacked")
    for name, text in {
        "legacy_dags/noted.py": CODE,
        "location.py": LOCATION,
        "own_defs/defs.yaml": yaml.safe_dump(UNITS),
        "pyproject.toml": "",
    }.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))
    origin = LoadableTargetOrigin(
        executable_path=sys.executable, python_file=str(root / "location.py"), working_directory=str(root)
    )
    in_memory = {"module": "tests.support.attacked", "class": "InThread"}
    at_once = {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"}
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        instance_for_test(overrides={"run_launcher": in_memory, "run_coordinator": at_once}) as instance,
    ):
        monkeypatch.setenv("PARITY_PROXIED_STATE", str(root / "nobody"))
        load = InProcessWorkspaceLoadTarget(InProcessCodeLocationOrigin(origin, location_name="attacked"))
        with WorkspaceProcessContext(instance, load) as workspace:
            yield Attacked(root, instance, workspace)


@pytest.fixture
def attacked(location: Attacked) -> Attacked:
    return location
