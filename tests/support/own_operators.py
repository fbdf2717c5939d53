"""A team's own operators as modules on disk, exported as Airflow's side does, and executed for real as their oracle."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from dagster_defs.inventory.document import Definition, OperatorCode
from tests.support.estate import ROOT

# In the place of Airflow's classes, with their names; what they would start is noted.
_LIBRARY = {
    "airflow.models.baseoperator": """
        class BaseOperator:
            template_fields = ()

            def __init__(self, **fields):
                self.task_id = "t"
                self.__dict__.update(fields)

            def execute(self, context):
                raise NotImplementedError
    """,
    "airflow.operators.bash": """
        from airflow.models.baseoperator import BaseOperator

        class BashOperator(BaseOperator):
            template_fields = ("bash_command", "env")
            started = []

            def execute(self, context):
                self.started.append(self.bash_command)
    """,
    "dbt.cli.main": """
        class dbtRunner:
            started = []

            def invoke(self, words):
                self.started.append(words)
                from types import SimpleNamespace
                return SimpleNamespace(success=True)
    """,
}


def exporter() -> ModuleType:
    """The exporter's file, which Airflow's side runs as a program."""
    spec = importlib.util.spec_from_file_location("exporter", ROOT / "legacy_dags/handover/inventory.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@dataclass
class Workshop:
    """Makes operators out of source texts. `started`: what the last one really started, programs as lists of words."""

    folder: Path
    patch: pytest.MonkeyPatch
    exporter: ModuleType = field(default_factory=exporter)
    made: int = 0

    def __post_init__(self) -> None:
        for name, source in _LIBRARY.items():
            module = ModuleType(name)
            module.__file__ = f"{sysconfig.get_path('purelib')}/{name.replace('.', '/')}.py"
            self.patch.setitem(sys.modules, name, module)
            exec(compile(textwrap.dedent(source), module.__file__, "exec"), module.__dict__)  # noqa: S102

    def module(self, source: str) -> ModuleType:
        self.made += 1
        name = f"team_{self.made}"
        file = self.folder / f"{name}.py"
        file.write_text(textwrap.dedent(source))
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        self.patch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    def code(self, operator: Any) -> OperatorCode:
        """As it is exported, through JSON's shapes."""
        values = self.exporter.Values(self.exporter.Vault({}))
        found: Mapping[str, Any] = self.exporter.own_code(operator, values, self.folder)
        definitions = {
            path: Definition(each["source"], tuple(each["mro"]), each["names"])
            for path, each in found["definitions"].items()
        }
        return OperatorCode(definitions, found["attributes"])

    def classes(self, operator: Any) -> list[str]:
        name, bases = self.exporter.operator_classes(operator)
        return [name, *bases]

    def started(self, operator: Any, context: Mapping[str, Any]) -> list[Any]:
        """What its `execute` starts: texts of shells, and words."""
        found: list[Any] = []

        class Noted:
            """In the place of a process, which has ended well."""

            returncode = 0

            def __init__(self, words: Any, **_: Any) -> None:
                self.args = words
                found.append([*words] if isinstance(words, list | tuple) else words)

            def __enter__(self) -> Noted:
                return self

            def __exit__(self, *_: object) -> None: ...

            def communicate(self, *_: Any, **__: Any) -> tuple[str, str]:
                return "", ""

            def wait(self, *_: Any, **__: Any) -> int:
                return 0

            poll = wait

        def note(of: str) -> Callable[..., Any]:
            def noted(itself: Any, given: Any) -> SimpleNamespace:
                found.append(itself.bash_command if of == "execute" else ["dbt", *given])
                return SimpleNamespace(success=True)

            return noted

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(subprocess, "Popen", Noted)
            patch.setattr(sys.modules["airflow.operators.bash"].BashOperator, "execute", note("execute"))
            patch.setattr(sys.modules["dbt.cli.main"].dbtRunner, "invoke", note("invoke"))
            operator.execute(context)
        return found
