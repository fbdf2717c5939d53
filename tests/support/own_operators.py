"""A team's own operators as modules on disk, exported as Airflow's side does, and executed for real as their oracle."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from dagster_defs.inventory.document import OperatorCode, own_code_of
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
class Run:
    """`started`: programs as lists of words, or texts of shells, each with the environment that the task sets."""

    started: list[tuple[Any, dict[str, str]]]
    raised: BaseException | None


@dataclass
class Workshop:
    """Makes operators out of source texts, and executes them."""

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
        code = own_code_of(json.loads(json.dumps(self.exporter.own_code(operator, values, self.folder))))
        assert code is not None
        return code

    def classes(self, operator: Any) -> list[str]:
        name, bases = self.exporter.operator_classes(operator)
        return [name, *bases]

    def run(self, operator: Any, context: Mapping[str, Any], failing: int = -1) -> Run:
        """What its `execute` really does if the process of this number fails, and no other."""
        found: list[tuple[Any, dict[str, str]]] = []

        def ends_well(text: Any, env: Mapping[str, str] | None) -> bool:
            own = {name: value for name, value in (env or {}).items() if os.environ.get(name) != value}
            found.append((text, own))
            return len(found) - 1 != failing

        class Noted:
            """In the place of a process."""

            def __init__(self, words: Any, *_: Any, env: Mapping[str, str] | None = None, **__: Any) -> None:
                self.args = words
                text = [*words] if isinstance(words, list | tuple) else words
                self.returncode = 0 if ends_well(text, env) else 1

            def __enter__(self) -> Noted:
                return self

            def __exit__(self, *_: object) -> None: ...

            def communicate(self, *_: Any, **__: Any) -> tuple[str, str]:
                return "", ""

            def wait(self, *_: Any, **__: Any) -> int:
                return self.returncode

            poll = wait

        def execute(itself: Any, _: Any) -> None:
            if not ends_well(itself.bash_command, itself.env):
                raise RuntimeError("Bash command failed")

        def invoke(_: Any, words: list[str]) -> SimpleNamespace:
            return SimpleNamespace(success=ends_well(["dbt", *words], None))

        raised: BaseException | None = None
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(subprocess, "Popen", Noted)
            patch.setattr(sys.modules["airflow.operators.bash"].BashOperator, "execute", execute)
            patch.setattr(sys.modules["dbt.cli.main"].dbtRunner, "invoke", invoke)
            try:
                operator.execute(context)
            except Exception as error:
                raised = error
        return Run(found, raised)
