"""Functions of the legacy code: found without being imported, and refused for what their module's text says."""

from __future__ import annotations

import re
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
    "shop_code/of_airflow.py": """
from __future__ import annotations
import json
from airflow.models import DAG, Variable
from airflow.sdk import task

BUCKET = Variable.get("bucket")
RATES = {"a": 2}
RATES["b"] = 3
with DAG("shop") as dag:
    @task(retries=2)
    def page(rows, day: str = "today") -> list:
        return [day, *(_worth(row) for row in rows), RATES["b"]]

def _worth(row): return RATES["a"] * row
def top(rows, day=None): return len(rows)
def holds(): return BUCKET
def asks():
    from airflow.sdk import get_current_context
    return get_current_context()
def nowhere(): return gone

def shop(shelf):
    import math
    @task
    def floor(row, /, up=0): return json.dumps(math.floor(row) + up)
    @task
    def shelved(): return shelf
""",
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
        ("shop_code.of_airflow.page", ""),
        ("shop_code.of_airflow.top", ""),
        ("shop_code.of_airflow.shop.<locals>.floor", ""),
        (
            "shop_code.of_airflow.holds",
            "module 'shop_code.of_airflow' imports airflow, which is not there, and without it: holds cannot be taken "
            "out of its file: it needs airflow.models, which is not there",
        ),
        (
            "shop_code.of_airflow.asks",
            "module 'shop_code.of_airflow' imports airflow, which is not there, and without it: asks cannot be taken "
            "out of its file: it needs airflow.sdk, which is not there",
        ),
        (
            "shop_code.of_airflow.nowhere",
            "module 'shop_code.of_airflow' imports airflow, which is not there, and without it: nowhere cannot be "
            "taken out of its file: it uses gone, which its file does not have",
        ),
        ("shop_code.of_airflow.DAG", "module 'shop_code.of_airflow' imports airflow, which is not there"),
        (
            "shop_code.of_airflow.shop.<locals>.shelved",
            "shelved cannot be taken out of its file: it uses shelf, which the function around it is given",
        ),
        (
            "shop_code.of_airflow.nobody.<locals>.floor",
            "floor cannot be taken out of its file: there is no one function nobody that makes it",
        ),
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


def test_a_function_is_taken_out_of_a_file_of_airflows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it uses of the file, as it stands once the file is read, and without what makes a task of it."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    page = LegacyFunction("shop_code.of_airflow.page", folder).load()
    floor = LegacyFunction("shop_code.of_airflow.shop.<locals>.floor", folder).load()

    assert page is not None
    assert page([1, 2]) == ["today", 2, 4, 3]
    assert page.__globals__["__file__"] == str(folder / "shop_code" / "of_airflow.py")
    assert floor is not None
    assert floor(2.5, up=1) == "3"
    assert "airflow" not in sys.modules
    assert not [name for name in sys.modules if name.startswith("shop_code")]


UNLIKE_AIRFLOW = {
    "a task of the DAG": (
        "rows = extract()\n@task\ndef load(): return rows",
        "it uses extract, which is a task",
    ),
    "a task called in a task": ("@task\ndef load(): return extract()", "it uses extract, which is a task"),
    "itself as a task": ("@task\ndef load(n): return load(n - 1)", "it uses load, which is a task"),
    "a name that a function sets": (
        "RATE = 1\ndef set_up():\n    global RATE\n    RATE = 5\nset_up()\n@task\ndef load(): return RATE",
        "it uses RATE, which a function of its file may set",
    ),
    "its globals": ("RATE = 1\n@task\ndef load(): return globals()['RATE']", r"it uses globals\(\)"),
}


@pytest.mark.parametrize("case", UNLIKE_AIRFLOW)
def test_a_function_that_would_do_something_else_than_in_airflow(tmp_path: Path, case: str) -> None:
    """It is refused with the name that would mean something else."""
    text, reason = UNLIKE_AIRFLOW[case]
    head = "from airflow.sdk import task\n@task\ndef extract(): return 1\n"
    (tmp_path / "shop_unlike.py").write_text(head + text)

    refusal = LegacyFunction("shop_unlike.load", tmp_path).refusal()

    assert re.search(f"load cannot be taken out of its file: {reason}", refusal)


def test_a_name_that_the_file_and_the_maker_of_a_dag_have(tmp_path: Path) -> None:
    """Functions of the file mean another object than the task does, and an argument of the maker hides the file's."""
    text = """
from airflow.sdk import task
RATE, rest = 1, {}
def helper(): return RATE
def shop(**rest):
    RATE = 2
    @task
    def load(): return helper() * RATE
    @task
    def page(): return rest
"""
    (tmp_path / "shop_made.py").write_text(text)

    both = LegacyFunction("shop_made.shop.<locals>.load", tmp_path).refusal()
    given = LegacyFunction("shop_made.shop.<locals>.page", tmp_path).refusal()

    assert "it uses RATE, which the function around it and its file both have" in both
    assert "it uses rest, which the function around it is given" in given


def test_what_a_file_does_around_a_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task made of the function under its own name calls nothing here; what `import *` and other blocks than a DAG's
    do is done."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "shop_shadows.py").write_text("def len(rows): return 99")
    text = """
from decimal import Decimal, localcontext
from airflow.sdk import DAG, task
from shop_shadows import *
with localcontext() as context:
    context.prec = 3
    RATE = Decimal(1) / 3
with DAG("shop") as dag:
    @task
    def load(): return len([]), str(RATE)
    load = load()
"""
    (tmp_path / "shop_around.py").write_text(text)

    load = LegacyFunction("shop_around.load", tmp_path).load()

    assert load is not None
    assert load() == (99, "0.333")
