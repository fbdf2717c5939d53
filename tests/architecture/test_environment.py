"""The environment is read in one file, and nothing changes it behind anybody's back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from dagster_defs.settings import Settings, process_environment
from tests.support.estate import ROOT

PRODUCT = ("dagster_defs", "demo")
READER = "dagster_defs/settings.py"
# What reads the environment, and what reads HOME or the account's own folder in it.
OF_OS = frozenset({"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv", "get_exec_path"})
OF_HOME = frozenset({"expanduser", "expandvars"})

# Who makes the record: commands, components and the demo when they begin.
MAKERS = ("dagster_defs/cli/", "dagster_defs/components/", "demo/__main__.py")
ELSEWHERE = {
    "dagster_defs/adapters/dbt/environment.py": "dbt reads the environment of its process again at each call",
}
# Who changes the environment of this process for a while, and for the sake of what.
CHANGERS = {
    "dagster_defs/adapters/dbt/environment.py": "dbt takes options from the environment of its process",
    "dagster_defs/adapters/dbt/repositories.py": "dagster-dbt looks for `dbt` and GITHUB_TOKEN in its process",
    "dagster_defs/usecases/rehearse/folder.py": "dbt renders `env_var` of a profile in its process",
    "dagster_defs/usecases/rehearse/setup.py": "Dagster renders `env` of the YAML in its process, dbt `env_var`",
    "demo/postgres.py": "the PostgreSQL wheel hands on the environment of its process, and no other",
    "demo/local_dagster.py": "Dagster reads `env` of its dagster.yaml in its process",
    "demo/servers.py": "the estate's generator and the mirrors read the environment of their process",
}


def readings(program: str) -> list[str]:
    """Where a program reads or changes the environment, in its own words."""
    tree = ast.parse(program)
    # The environment of another process is a method of psutil's; that of this one is a mapping.
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    others = {id(found) for found in called if isinstance(found, ast.Attribute) and found.attr == "environ"}
    return [said for node in ast.walk(tree) if id(node) not in others for said in _readings(node)]


def _readings(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.ImportFrom(module="os" | "posix", names=names):
            yield from (f"from os import {each.name}" for each in names if each.name in OF_OS | {"*"})
        case ast.ImportFrom(module="os.path" | "posixpath", names=names):
            yield from (f"from os.path import {each.name}" for each in names if each.name in OF_HOME)
        case ast.Attribute(attr=name) if name in OF_OS | OF_HOME:
            yield ast.unparse(node)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="Path"), attr="home")):
            yield ast.unparse(node)
        case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=name), *_]) if name in OF_OS:
            yield ast.unparse(node)


def files() -> dict[str, str]:
    return {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for folder in PRODUCT
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "__pycache__" not in path.parts
    }


def callers(name: str) -> set[str]:
    """Files, but for the reader itself, that name a function of it."""
    return {path for path, text in files().items() if path != READER and re.search(rf"\b{name}\b", text)}


@pytest.mark.parametrize(
    "program",
    [
        "import os\nx = os.environ['HOME']",
        "import os\ndef f():\n    return os.getenv('X')",
        "import os as o\nx = o.environ.get('X', '')",
        "from os import environ",
        "from os import getenv as look",
        "from os import *",
        "import os\nos.environ.update(x=1)",
        "import os\nos.putenv('X', '1')",
        "import os\nx = os.environb[b'X']",
        "import os\nx = getattr(os, 'environ')",
        "from pathlib import Path\nx = Path.home() / 'airflow'",
        "from pathlib import Path\nx = Path('~/x').expanduser()",
        "import os\nx = os.path.expandvars('$HOME/x')",
        "from os.path import expanduser",
    ],
)
def test_a_look_at_the_environment_is_seen(program: str) -> None:
    """Whichever way it is written, inside functions too; whatever reads HOME counts."""
    assert readings(program)


@pytest.mark.parametrize(
    "program",
    [
        "environment = {'PATH': '/bin'}",
        "x = settings.variables['HOME']",
        "'os.environ'",
        "import os\nos.chdir('/')\nx = os.defpath",
        "home = self.home / 'x'",
        "import psutil\nx = psutil.Process(1).environ().get('X')",
    ],
)
def test_what_only_looks_like_it_is_let_pass(program: str) -> None:
    """An environment that is handed down, text, and other things of `os`."""
    assert readings(program) == []


def test_the_environment_is_read_in_one_file() -> None:
    """Nothing of the product or the demo looks at the process's environment but `settings.py`."""
    found = {path: said for path, text in files().items() if path != READER and (said := readings(text))}

    assert found == {}
    assert readings((ROOT / READER).read_text())


def test_only_whoever_begins_makes_the_record() -> None:
    """Commands, components and the demo make the settings; everything else is handed them."""
    found = {path for path in callers("from_process") if not path.startswith(MAKERS)}

    assert found == ELSEWHERE.keys()


def test_the_environment_is_changed_for_a_while_only_and_where_somebody_insists() -> None:
    """Each file that puts variables into this process stands here with its reason."""
    assert callers("process_environment") == CHANGERS.keys()


def test_afterwards_every_variable_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was set, changed and taken away is put back, also after an error and from a block within a block."""
    monkeypatch.setenv("CHANGED", "before")
    monkeypatch.setenv("TAKEN", "there")
    monkeypatch.delenv("ADDED", raising=False)
    before = Settings.from_process()

    def fail_half_way() -> None:
        with process_environment({"ADDED": "1", "CHANGED": "2"}):
            with process_environment({"CHANGED": "3"}, without=["TAKEN"]):
                assert _seen() == {"ADDED": "1", "CHANGED": "3"}
            assert _seen() == {"ADDED": "1", "CHANGED": "2", "TAKEN": "there"}
            raise ValueError("half-way")

    with pytest.raises(ValueError, match="half-way"):
        fail_half_way()

    assert Settings.from_process() == before


def test_the_record_does_not_follow_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings say what the environment said when they were made."""
    monkeypatch.setenv("DAGSTER_URL", "http://first.example")
    made = Settings.from_process()
    monkeypatch.setenv("DAGSTER_URL", "http://second.example")

    assert (made.dagster_url, Settings.from_process().dagster_url) == (
        "http://first.example",
        "http://second.example",
    )


def test_the_record_shows_no_secret() -> None:
    """Its text has nothing of the environment in it."""
    assert "hunter2" not in repr(Settings({"AIRFLOW_PASSWORD": "hunter2"}))


def test_every_variable_of_the_record_is_in_the_reference() -> None:
    """Each variable that `settings.py` asks for has a row in docs/reference.md."""
    tree = ast.parse((ROOT / READER).read_text())
    asked = {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)
    }
    names = {name for name in asked if isinstance(name, str) and name.isupper()}
    reference = Path(ROOT / "docs" / "reference.md").read_text()
    rows = {
        name
        for line in reference.splitlines()
        if line.startswith("| `")
        for name in re.findall("`(\\w+)`", line.split("|")[1])
    }

    assert {"DAGSTER_URL", "PARITY_STRICT", "AIRFLOW_PORT"} <= names
    assert names <= rows, names - rows


def _seen() -> Mapping[str, str]:
    variables = Settings.from_process().variables
    return {name: variables[name] for name in ("ADDED", "CHANGED", "TAKEN") if name in variables}


def test_a_snapshot_is_of_the_environment_as_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unchanged, it is read once; changed, even back again, it is read anew. Earlier snapshots keep what they have."""
    before = Settings.from_process()
    assert Settings.from_process().variables is before.variables

    monkeypatch.setenv("PARITY_SOMETHING", "1")
    assert Settings.from_process().variables["PARITY_SOMETHING"] == "1"
    with process_environment({"PARITY_SOMETHING": "2"}):
        assert Settings.from_process().variables["PARITY_SOMETHING"] == "2"
    assert Settings.from_process().variables["PARITY_SOMETHING"] == "1"
    assert "PARITY_SOMETHING" not in before.variables
