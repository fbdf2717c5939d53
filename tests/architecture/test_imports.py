"""Who may import whom, and where `dbt` comes from."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import typer.main

from dagster_defs.cli import app
from tests.support.estate import AIRFLOW_PYTHON, BIN, ROOT, foreign_environment


def modules(folder: str) -> list[Path]:
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


def imported(path: Path) -> Iterator[str]:
    """Every absolute module name that is imported anywhere in a file, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


def offenders(folder: str, forbidden: set[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(folder)
        for name in imported(path)
        if name.split(".")[0] in forbidden
    ]


def test_the_import_law_holds() -> None:
    """The floors are only walked downwards, and the pure folders reach nothing outside: lint-imports agrees."""
    done = subprocess.run(
        [str(BIN / "lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_the_dagster_side_knows_no_airflow() -> None:
    """Nothing in dagster_defs imports airflow, not even inside a function."""
    assert offenders("dagster_defs", {"airflow"}) == []


def test_the_airflow_side_knows_no_dagster() -> None:
    """Nothing in legacy_dags imports dagster or dagster_defs; dagster_airlift only its in-Airflow half."""
    assert offenders("legacy_dags", {"dagster", "dagster_defs", "dagster_dbt", "dagster_shared"}) == []
    airlift = {
        name
        for path in modules("legacy_dags")
        for name in imported(path)
        if name.startswith("dagster_airlift")
    }
    assert all(name.startswith("dagster_airlift.in_airflow") for name in airlift), airlift


EXTRAS = {"docker", "dagster_docker", "kubernetes", "dagster_k8s"}


def test_only_who_uses_a_container_imports_its_engine() -> None:
    """The packages of the extras are imported in the folder that is itself imported when a container runs."""
    found = {line.rpartition(" imports ")[0] for line in offenders("dagster_defs", EXTRAS)}
    assert found == {f"dagster_defs/adapters/containers/{name}.py" for name in ("docker", "kubernetes")}
    code = f"import sys, dagster_defs.components, dagster_defs.cli; print({EXTRAS!r} & sys.modules.keys())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    )
    assert done.stdout.strip() == "set()"


PURE = ("windows", "inventory", "parity", "lifecycle")
CLOCK = frozenset({"now", "utcnow", "today", "time", "monotonic", "perf_counter", "process_time"})


def clock_calls(program: str) -> list[str]:
    """The calls in a program that read a clock: `now` and its kin of any object, `time` of the module only."""
    names = (ast.unparse(node.func) for node in ast.walk(ast.parse(program)) if isinstance(node, ast.Call))
    return [
        name
        for name in names
        for last in [name.rpartition(".")[2]]
        if last in CLOCK and (last != "time" or name in ("time", "time.time"))
    ]


@pytest.mark.parametrize(
    "call",
    [
        *(
            "datetime.now(UTC)",
            "pendulum.now('UTC')",
            "datetime.utcnow()",
            "date.today()",
            "time.time()",
            "now()",
        ),
        *("time.monotonic()", "dt.datetime.now()", "f(x=monotonic())", "self.clock.now().isoformat()"),
    ],
)
def test_a_call_of_the_clock_is_seen(call: str) -> None:
    """Whatever object it is asked of, and wherever it stands in an expression."""
    assert len(clock_calls(f"x = {call}")) == 1


@pytest.mark.parametrize("text", ["x = now", "f(now=now)", "x = 'datetime.now()'", "x = instant.time()"])
def test_what_only_looks_like_the_clock_is_let_pass(text: str) -> None:
    """An instant that is handed down, text, and the time of a datetime."""
    assert clock_calls(text) == []


@pytest.mark.parametrize("folder", PURE)
def test_pure_folders_call_no_clock(folder: str) -> None:
    """What time it is, is handed down to windows, inventory, parity and lifecycle."""
    found = {
        str(path.relative_to(ROOT)): calls
        for path in modules(f"dagster_defs/{folder}")
        if (calls := clock_calls(path.read_text(encoding="utf-8")))
    }

    assert found == {}


@pytest.mark.parametrize("folder", PURE)
def test_pure_folders_know_no_dagster(folder: str) -> None:
    """Not even inside a function: Dagster's own boundaries of a cron are handed down."""
    forbidden = {"dagster", "dagster_dbt", "dagster_airlift", "dagster_shared", "os", "time"}

    assert offenders(f"dagster_defs/{folder}", forbidden) == []


def test_business_code_knows_no_orchestrator() -> None:
    """What both orchestrators call imports neither of them."""
    assert offenders("legacy_dags/include", {"airflow", "dagster", "dagster_airlift", "handover"}) == []


def test_dbt_is_dbt_core() -> None:
    """`import dbt` is the installed dbt even with the root of the repository first on the path."""
    program = "import sys; sys.path.insert(0, sys.argv[1]); import dbt.cli.main, dbt.version as v; print(v.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", program, str(ROOT)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "site-packages" in done.stdout


def test_no_folder_named_dbt_is_a_package() -> None:
    """Neither dbt/ nor tests/ has an __init__.py, and there is no tests/dbt/: they would shadow the real ones."""
    assert not list((ROOT / "dbt").rglob("__init__.py"))
    assert not list((ROOT / "tests").rglob("__init__.py"))
    assert not (ROOT / "tests" / "dbt").exists()


def test_no_two_test_files_have_one_name() -> None:
    """Basenames of test files are unique across folders."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]

    assert sorted(names) == sorted(set(names))


# What takes longer to import than help takes to print.
HEAVY = frozenset(
    {
        "dagster",
        "dagster_dbt",
        "dagster_airlift",
        "dagster_shared",
        "dbt",
        "duckdb",
        "snowflake",
        "sqlglot",
        "pyarrow",
    }
    | {"pydantic", "pendulum", "croniter", "jinja2", "yaml", "rich", "httpx", "tree_sitter"}
)


def names_of_commands() -> list[str]:
    return sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def imported_by_parity(*arguments: str, **environment: str) -> tuple[set[str], str]:
    """The heavy packages that a fresh interpreter has imported when `parity` has answered, and its answer."""
    program = (
        "import atexit, sys; from dagster_defs.cli import main;"
        "atexit.register(lambda: print(sorted({m.split('.')[0] for m in sys.modules}), file=sys.stderr));"
        "sys.argv[:] = ['parity', *sys.argv[1:]]; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env=foreign_environment() | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded: set[str] = set(ast.literal_eval(done.stderr.splitlines()[-1]))
    return loaded & HEAVY, done.stdout


@pytest.mark.parametrize("name", ["", *names_of_commands()])
def test_help_answers_at_once(name: str) -> None:
    """Help, of the program and of each command, imports typer and nothing that is slow."""
    heavy, answer = imported_by_parity(*filter(None, [name]), "--help")

    assert f"Usage: parity {name}".rstrip() in answer
    assert not heavy


def test_the_version_answers_at_once() -> None:
    """`parity --version` is the installed package's, and imports nothing that is slow."""
    assert imported_by_parity("--version") == (set(), f"parity {version('airflow-parity')}\n")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param("parity stat", ["status"], id="a command"),
        pytest.param("parity --ver", ["--version"], id="an option"),
    ],
)
def test_completion_answers_at_once(words: str, expected: list[str]) -> None:
    """The shell completes commands and the program's options, and what it asks imports nothing that is slow."""
    asked = {
        "_PARITY_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    heavy, answer = imported_by_parity(**asked)

    assert (answer.split(), heavy) == (expected, set())


@pytest.mark.airflow
def test_the_airflow_environment_has_no_dagster() -> None:
    """Airflow's environment has neither dagster nor dbt: the two can't be mixed by accident."""
    program = "from importlib.util import find_spec as f; print([n for n in ('dagster', 'dbt') if f(n)])"
    done = subprocess.run(
        [str(AIRFLOW_PYTHON), "-c", program],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_the_dagster_environment_has_no_airflow() -> None:
    """Dagster's environment has no Airflow."""
    program = "from importlib.util import find_spec; print(find_spec('airflow'))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd="/", capture_output=True, text=True, timeout=300, check=False
    )

    assert (done.returncode, done.stdout.strip()) == (0, "None"), done.stderr
