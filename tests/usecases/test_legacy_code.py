"""Functions of the legacy code: found without being imported, and refused for what their module's text says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dagster_defs.adapters.files.legacy_code import LegacyFunction

MODULES = {
    "shop_code/__init__.py": "raise RuntimeError('this must not be imported')",
    "shop_code/alerts.py": """
import json
from shop_code.texts import shout

if True:
    note = lambda context: None

class Pager:
    def page(self, context): ...

def page(context): ...
""",
    "shop_code/texts.py": "def shout(context): ...",
    "shop_code/of_airflow.py": "from airflow.models import DAG\n\ndef page(context): ...",
    "shop_code/perhaps.py": "try:\n    import airflow\nexcept ImportError:\n    pass\n\ndef page(context): ...",
    "shop_code/all_of_it.py": "from shop_code.texts import *",
    "shop_code/broken.py": "def page(context",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in MODULES.items():
        file = tmp_path / "dags" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "dags"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("shop_code.alerts.page", ""),
        ("shop_code.alerts.note", ""),
        ("shop_code.alerts.shout", ""),
        ("shop_code.all_of_it.shout", ""),
        ("shop_code.perhaps.page", ""),
        ("json.dumps", ""),
        ("shop_code.alerts.Pager", "module 'shop_code.alerts' has no function 'Pager'"),
        ("shop_code.alerts.Pager.page", "there is no module 'shop_code.alerts.Pager' in dags/"),
        ("shop_code.alerts.<lambda>", "module 'shop_code.alerts' has no function '<lambda>'"),
        ("shop_code.nowhere.page", "there is no module 'shop_code.nowhere' in dags/"),
        ("nowhere.at.all.page", "there is no module 'nowhere.at.all' in dags/"),
        ("page", "there is no module '' in dags/"),
        ("shop_code.of_airflow.page", "module 'shop_code.of_airflow' imports airflow, which is not there"),
        ("shop_code.broken.page", "module 'shop_code.broken' is not to be read: "),
    ],
)
def test_a_function_is_judged_by_its_text(folder: Path, path: str, reason: str) -> None:
    """What cannot be called here is refused with the reason; nothing is imported on the way."""
    refusal = LegacyFunction(path, folder).refusal()

    assert refusal.startswith(reason) if reason else refusal == ""
    assert not [name for name in sys.modules if name.startswith("shop_code")]


def test_a_function_is_loaded_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function comes from its folder; a name that the module lacks is none."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "shop_loaded.py").write_text("def page(context):\n    return 'told'")

    function = LegacyFunction("shop_loaded.page", tmp_path).load()

    assert function is not None
    assert function({}) == "told"
    assert LegacyFunction("shop_loaded.nothing", tmp_path).load() is None
