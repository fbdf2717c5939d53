"""The sizes of rooms, and what may not lie in them."""

from __future__ import annotations

import ast
import inspect
import re
import tokenize
from pathlib import Path

import pytest
import yaml

from dagster_defs import errors
from tests.support.estate import ROOT

PRODUCT = ("dagster_defs", "demo", "legacy_dags", "bench")
MOST_LINES = 500
LARGER = {
    "legacy_dags/handover/inventory.py": "one file on purpose: it is copied alone into anybody's Airflow",
}

# `noqa: X` or `type: ignore[x]`, and after it a reason in words.
IGNORED = re.compile(r"#\s*(noqa:\s*[A-Z]+\d+(?:\s*,\s*[A-Z]+\d+)*|type:\s*ignore\[[\w, -]+\])(?P<rest>.*)")
BARE = re.compile(r"#\s*(noqa(?!:)|type:\s*ignore(?!\[))")


def files(folders: tuple[str, ...]) -> list[Path]:
    return sorted(
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if "__pycache__" not in path.parts and ".demo" not in path.parts
    )


def comments(path: Path) -> list[tuple[int, str]]:
    with path.open("rb") as source:
        return [
            (token.start[0], token.string)
            for token in tokenize.tokenize(source.readline)
            if token.type == tokenize.COMMENT
        ]


def test_no_module_is_a_hall() -> None:
    """No module of the product has more than 500 lines, but for those that say why."""
    too_long = {
        str(path.relative_to(ROOT))
        for path in files(PRODUCT)
        if len(path.read_text(encoding="utf-8").splitlines()) > MOST_LINES
    }

    assert too_long <= LARGER.keys()


def test_every_ignored_lint_has_its_reason() -> None:
    """A `noqa` names its rule and a `type: ignore` its code, and each is followed by a reason."""
    silent = []
    for path in files(PRODUCT):
        for line, comment in comments(path):
            found = IGNORED.search(comment)
            if BARE.search(comment) or (found and len(found["rest"].strip(" -–—#")) < 5):
                silent.append(f"{path.relative_to(ROOT)}:{line} {comment}")

    assert silent == []


def test_every_module_says_what_it_is_about() -> None:
    """Each module of the product begins with a docstring."""
    silent = [
        str(path.relative_to(ROOT))
        for path in files(PRODUCT)
        if ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) is None
    ]

    assert silent == []


def test_every_test_claims_something() -> None:
    """Each test function has a docstring."""
    silent = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]

    assert silent == []


def test_no_test_sleeps_for_a_fixed_time() -> None:
    """Tests poll for a fact with a bound: a sleep stands in a loop or nowhere."""
    sleeping = []
    for path in (ROOT / "tests").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        in_loops = {
            id(call)
            for loop in ast.walk(tree)
            if isinstance(loop, ast.While | ast.For)
            for call in ast.walk(loop)
        }
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and ast.unparse(node.func) == "time.sleep"
                and id(node) not in in_loops
            ):
                sleeping.append(f"{path.relative_to(ROOT)}:{node.lineno}")

    assert sleeping == []


def test_definitions_hold_no_logic() -> None:
    """definitions.py only loads the folder: one function of one statement, nothing else that decides."""
    tree = ast.parse((ROOT / "dagster_defs" / "definitions.py").read_text(encoding="utf-8"))

    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert [len(function.body) for function in functions] == [1]
    others = [
        node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef)
    ]
    assert [ast.unparse(node).startswith(("'", '"')) for node in others] == [True]


def test_defs_are_yaml_only() -> None:
    """Below dagster_defs/defs/ there is nothing but YAML, and each document names its component type."""
    folder = ROOT / "dagster_defs" / "defs"
    found = [
        path
        for path in folder.rglob("*")
        if path.is_file() and not {"__pycache__", ".local_defs_state"} & set(path.parts)
    ]

    assert {path.name for path in found} == {"defs.yaml"}
    for path in found:
        for document in yaml.safe_load_all(path.read_text()):
            assert document["type"].startswith("dagster_defs.components.")


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").glob("*")), ids=lambda path: path.name)
def test_requirements_have_no_address(path: Path) -> None:
    """Locked dependencies name versions and hashes, and nowhere to get them from."""
    text = path.read_text()

    assert not re.search(r"://|--index|--find-links|--trusted-host|(^|\s)-[if]\s", text)
    if path.suffix == ".txt":
        pinned = [line for line in text.splitlines() if re.match(r"[A-Za-z0-9]", line)]
        assert pinned
        assert all("==" in line for line in pinned)
        assert text.count("--hash=sha256:") >= len(pinned)


def test_the_named_packages_are_required() -> None:
    """pyproject.toml names the packages that the project stands on."""
    text = (ROOT / "pyproject.toml").read_text()

    for package in ("dagster", "dagster-dbt", "dagster-airlift[core]", "dbt-core", "dbt-snowflake", "dbt-duckdb",
                    "pytest-mock"):  # fmt: skip
        assert f'"{package}>=' in text, package
    assert 'include = ["dagster_defs*", "demo*", "bench*"]' in text


def test_the_tree_of_errors_is_drawn_whole() -> None:
    """The docstring of errors/ names every error, below its base, with the exit code that it has."""
    drawn = errors.__doc__ or ""
    classes = {
        name: kind
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.ParityError)
    }

    names = set(re.findall(r"[├└]── (\w+)", drawn)) | {"ParityError"}
    assert names == set(classes)
    for name, kind in classes.items():
        branch = kind.__mro__[1].__name__
        if branch in ("UsageError", "WarehouseError"):
            assert re.search(rf"{branch}.*\n(?:.*\n)*?.*│.*[├└]── {name}\b", drawn), (
                f"{name} is not below {branch}"
            )
        assert kind.exit_code in (1, 2, 3)
    assert errors.UsageError.exit_code == 2
