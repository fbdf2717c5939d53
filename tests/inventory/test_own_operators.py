"""A team's own operators, followed through their `execute`, beside what they really start."""

from __future__ import annotations

import copy
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagster_defs.inventory.holes import Holes
from dagster_defs.inventory.own_code import Delegated
from dagster_defs.inventory.own_operators import Followed, follow_operator
from dagster_defs.inventory.python_values import Invoked, PythonCall
from tests.support.own_operators import Workshop

HEAD = """
import contextlib
import functools
import os
import subprocess
from functools import partial

from airflow.models.baseoperator import BaseOperator
from airflow.operators.bash import BashOperator

DBT = "dbt"
FLAGS = ["--no-use-colors"]
CHECKED = functools.partial(subprocess.run, check=True)
"""
FIELDS: dict[str, Any] = {
    "models": "orders", "mode": "run", "full": False, "flags": ["--fail-fast"], "target": "prod",
    "env": {"A": "b"}, "bash_command": "true",
}  # fmt: skip


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with pytest.MonkeyPatch.context() as patch:
        yield Workshop(tmp_path_factory.mktemp("team"), patch)


@dataclass
class Said:
    """What was read of the class `Op` of a source, and the means to execute it."""

    workshop: Workshop
    followed: Followed
    holes: Holes
    make: Callable[[], Any]
    operator: Any

    @property
    def calls(self) -> list[tuple[Any, dict[str, str], bool] | None]:
        """What is started, with its environment and whether its failure fails the task; None for what is conditional
        or has a hole."""
        started = []
        for call in self.followed.calls:
            env: Any = {}
            match call:
                case Invoked(words=words):
                    text: Any = ["dbt", *words]
                case PythonCall(words=words, script=script):
                    text, env = [*words] if script is None else script, dict(call.env)
                case Delegated(fields=fields):
                    text = fields.get("bash_command", self.operator.bash_command)
                    env = fields.get("env", self.operator.env)
            certain = not call.conditional and not self.holes.in_text(f"{text}{env}")
            started.append((text, env, call.raises) if certain else None)
        return started

    @property
    def is_certain(self) -> bool:
        return not self.followed.reasons and None not in self.calls

    def really(self, context: Mapping[str, Any]) -> list[tuple[Any, dict[str, str], bool]]:
        """What a run starts, in the same terms: each of its processes fails once."""
        started = self.workshop.run(self.make(), context).started
        return [
            (text, env, self.workshop.run(self.make(), context, number).raised is not None)
            for number, (text, env) in enumerate(started)
        ]


def read(workshop: Workshop, source: str, **fields: Any) -> Said:
    """The class `Op` of the source, with these fields."""
    module = workshop.module(HEAD + textwrap.dedent(source))

    def make() -> Any:
        return module.Op(**copy.deepcopy({**FIELDS, **fields}))

    operator = make()
    code, holes = workshop.code(operator), Holes()
    templated = {name: getattr(operator, name) for name in operator.template_fields}
    attributes = {**code.attributes, **templated}
    followed = follow_operator(code, workshop.classes(operator), attributes, holes) or Followed()
    return Said(workshop, followed, holes, make, operator)


SHAPES = {
    "the words in a list": 'subprocess.run([DBT, "run", "-s", self.models], check=True)',
    "an f-string in a shell": 'subprocess.check_call(f"{DBT} {self.mode} -s {self.models}", shell=True)',
    "a partial of the module's": 'CHECKED([DBT, "build", *FLAGS])',
    "a partial of its own": 'run = partial(subprocess.run, [DBT, "test"], check=True)\nrun()',
    "a partial of a method": 'partial(self.start, self.mode)(models="customers")',
    "a helper": "self.start(self.mode)",
    "helpers of helpers": "self.twice()",
    "a static helper": "subprocess.run(self.words(self.models))",
    "a property": "subprocess.run(self.command)",
    "a class's own value": 'subprocess.run([*self.PREFIX, "run"])',
    "a condition on a field": (
        'words = [DBT, self.mode]\nif self.full:\n    words.append("--full-refresh")\nCHECKED(words)'
    ),
    "a comparison": 'CHECKED([DBT, "run"] if self.mode == "run" else [DBT, "test"])',
    "a loop over a field": 'words = [DBT, "run"]\nfor flag in self.flags:\n    words += [flag]\nCHECKED(words)',
    "the shell after setting a field": (
        'self.bash_command = f"dbt run -s {self.models}"\nreturn super().execute(context)'
    ),
    "the shell, set by a helper": "self.prepare()\nsuper().execute(context)",
    "dbt in process": (
        'from dbt.cli.main import dbtRunner\nresult = dbtRunner().invoke(["run", "-s", self.models])\n'
        'if not result.success:\n    raise ValueError("dbt")'
    ),
    "a hook of its own": 'Hook(self.models, target=self.target).run("run")',
    "a function of the team's": "launch(self.models)",
    "an early return": "if not self.models:\n    return None\nself.start(self.mode)",
    "a list that is another's too": 'words = self.flags\nwords.append("-x")\nCHECKED([DBT, "run", *self.flags])',
    "a default": "self.start()",
    "getattr": 'CHECKED([DBT, getattr(self, "mode")])',
    "an environment": 'env = {**os.environ, "DBT_X": self.target}\nsubprocess.run([DBT, "run"], env=env)',
    "tries": 'try:\n    CHECKED([DBT, "run"])\nexcept ValueError:\n    raise',
    "two of them": 'CHECKED([DBT, "seed"])\nself.start(self.mode)',
}
HELPERS = """
    PREFIX = ["dbt", "--quiet"]

    @property
    def command(self):
        return [DBT, self.mode, *self.extra()]

    def extra(self):
        if self.full:
            return ["--full-refresh"]
        return ["--target", self.target]

    def start(self, verb="build", models=None):
        words = [DBT, verb, "-s", models or self.models]
        words.extend(FLAGS)
        return subprocess.run(words, check=True)

    def skip(self):
        raise AirflowSkipException

    def twice(self):
        self.start("run")
        self.start("test", models=self.models + "+")

    @staticmethod
    def words(models):
        return [DBT, "ls", "-s", models]

    def pick(self, word):
        if word:
            return word
        return "docs"

    def weak(self, verb):
        return subprocess.run([DBT, verb])

    def add(self, words):
        words.append("added")

    def prepare(self):
        self.bash_command = " && ".join(["dbt deps", f"dbt {self.mode}"])
"""
TEAM = """
def launch(models, verb="run"):
    subprocess.run([DBT, verb, "-s", models], check=True)


class Hook:
    def __init__(self, models, target):
        self.models, self.options = models, ["--target", target]

    def run(self, verb):
        return subprocess.check_output([DBT, verb, "-s", self.models, *self.options])
"""


def operator(body: str, base: str = "Helped", helpers: str = HELPERS) -> str:
    """The class `Op` with this `execute`, behind a class of the team's with helpers."""
    return (
        f"{TEAM}\n\nclass Helped(BashOperator):{helpers}\n\nclass Op({base}):\n    def execute(self, context):\n"
        + textwrap.indent(body, " " * 8)
    )


@pytest.mark.parametrize("body", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("full", [False, True], ids=["", "full"])
def test_what_is_followed_is_what_is_started(workshop: Workshop, body: str, full: bool) -> None:
    """Word for word, in order, and with no reason for doubt."""
    said = read(workshop, operator(body), full=full)

    assert said.followed.reasons == ()
    assert said.calls == said.really({"ds": "2024-03-01"}) != []


DOUBTS = {
    "a library": ("import paramiko", "paramiko.connect(f'dbt run -s {self.models}')\nself.start('run')"),
    "a method of nobody knows whom": ("", "self.hook.run('dbt run')\nself.start('run')"),
    "a decorator": (
        "def twice(f):\n    return f",
        "self.start('run')\nself.decorated()",
    ),
    "words from elsewhere": ("", "subprocess.run(context['ti'].xcom_pull('words'))"),
    "an environment from elsewhere": ("", "subprocess.run(['dbt', 'run'], env=self.whatever())"),
    "exec": ("", "exec('import os')\nself.start('run')"),
    "a comprehension": ("", "[self.start(verb) for verb in self.flags]\nself.start('run')"),
    "arguments that are not shown": (
        "",
        "options = context['ti'].options\nsubprocess.run(['dbt', 'run'], **options)",
    ),
}


@pytest.mark.parametrize(("before", "body"), DOUBTS.values(), ids=DOUBTS)
def test_what_is_not_shown_is_doubted(workshop: Workshop, before: str, body: str) -> None:
    """Never guessed: there is a reason, or a hole."""
    before = before.replace("import paramiko", "from tests.support import plans as paramiko")
    helpers = HELPERS + "\n    @functools.lru_cache\n    def decorated(self):\n        self.start('test')\n"
    said = read(workshop, before + "\n" + operator(body, helpers=helpers))

    assert not said.is_certain


CONDITIONS = {
    "a branch": "if context['ti'].x:\n    self.start('run')",
    "the rest after one": "if context['ti'].x:\n    return\nself.start('run')",
    "the rest after a skip": "if context['ti'].x:\n    raise AirflowSkipException\nself.start('run')",
    "the rest after a skip in a helper": "if context['ti'].x:\n    self.skip()\nself.start('run')",
    "a value of one": "verb = 'run'\nif context['ti'].x:\n    verb = 'test'\nself.start(verb)",
    "a field of one": "if context['ti'].x:\n    self.mode = 'test'\nself.start(self.mode)",
    "a loop": "while context['ti'].x:\n    self.start('run')",
    "a handler": "try:\n    print(context)\nexcept ValueError:\n    self.start('run')",
}


@pytest.mark.parametrize("body", CONDITIONS.values(), ids=CONDITIONS)
def test_what_the_run_decides_is_conditional(workshop: Workshop, body: str) -> None:
    """Airflow's own run is what decides it: the call, or its words, are not certain."""
    said = read(workshop, operator(body))

    assert said.followed.reasons == ()
    assert said.calls == [None]


STATEMENTS = st.sampled_from(
    """
    self.mode = 'test'
    self.flags.append('-x')
    self.flags = [*self.flags, self.mode]
    verb = self.mode
    self.start(verb)
    self.start(self.mode)
    self.twice()
    CHECKED([DBT, *self.flags])
    words = [DBT, verb]
    words += self.flags
    words.insert(0, 'x')
    subprocess.run(words)
    self.full = not self.full
    self.models += '+'
    launch(self.models)
    self.prepare()
    super().execute(context)
    subprocess.run(self.command)
    Hook(verb, self.mode).run(self.models)
    copied = self.flags
    copied.append(verb)
    CHECKED([DBT, *copied])
    verb, words = 'a', ['b']
    copied += ['y']
    self.flags += [verb]
    self.full and self.start(verb)
    self.add(copied)
    self.start(verb) if self.full else self.prepare()
    self.models = f'{verb!r:>9}'
    if (verb := self.mode): self.start(verb)
    self.held = [copied]
    self.PREFIX = ['other']
    subprocess.run([*self.PREFIX, verb])
    self.flags.extend(words)
    env = {**os.environ, **self.env, 'V': verb}
    env = {**self.env, **context}
    env['M'] = self.models
    env.update(self.env)
    self.env = {**self.env, 'V': verb}
    CHECKED([DBT, verb], env=env)
    subprocess.check_call(words, env={**os.environ, **env})
    self.models = ','.join(flag for flag in self.flags)
    verb = '-'.join(words)
    verb = context['absent']
    context['absent'] and self.start(verb)
    self.start(context['absent'])
    verb = self.pick(verb)
    verb = self.pick(context['x'])
    done = subprocess.run(words)
    done.check_returncode()
    if done.returncode: raise RuntimeError(verb)
    done = self.weak(verb)
    subprocess.run(words, check=self.full)
    subprocess.run(words, check=context['x'])
    subprocess.run(' '.join(words), shell=True)
    subprocess.run(words, shell=True)
    run = functools.partial(subprocess.run, words, env=env)
    run()
    words, verb = self.flags, words[0]
    self.env.pop('A')
    words = [word for word in words if word]
    list(map(self.start, words))
    words[0] = verb
    self.registry = {'a': Hook(verb, verb)}
    self.registry['a'].run(verb)
    self.registry.get('a').run(verb)
    """.strip().splitlines()
)
TESTS = st.sampled_from(
    [
        "self.full",
        "not self.full",
        "self.mode == 'run'",
        "verb in self.flags",
        "self.flags",
        "context['x']",
        "words",
    ]
)
ENDS = st.sampled_from(["return", "return self.start(verb)", "raise RuntimeError(verb)"])
LISTS = st.sampled_from(["FLAGS", "list(self.flags)", "('a', 'b')", "context['many']"])
GUARDS = st.sampled_from(
    ["contextlib.suppress(KeyError)", "contextlib.suppress(Exception)", "open(os.devnull)"]
)
HANDLED = st.sampled_from(["KeyError", "Exception", "subprocess.CalledProcessError"])


@st.composite
def bodies(draw: st.DrawFn, depth: int = 2, in_loop: bool = False) -> str:
    """Statements of `execute` or of a helper."""
    lines = []
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["plain"] * 4 + ["if", "for", "while", "try", "with", "end", "turn"]))
        loops = kind != "while" and (in_loop or kind == "for")
        inner = "pass"
        if depth and kind in ("if", "for", "while", "try", "with"):
            inner = textwrap.indent(draw(bodies(depth - 1, loops)), "    ").strip()
        other = draw(STATEMENTS).strip()
        match kind:
            case "if":
                lines.append(f"if {draw(TESTS)}:\n    {inner}")
                lines += [f"else:\n    {other}"] if draw(st.booleans()) else []
            case "for":
                lines.append(f"for verb in {draw(LISTS)}:\n    {inner}")
                lines += [f"else:\n    {other}"] if draw(st.booleans()) else []
            case "while":  # its body has no turn of its own, which might never end
                lines.append(f"while {draw(TESTS)}:\n    {inner}\n    break")
            case "try":
                lines.append(f"try:\n    {inner}\nexcept {draw(HANDLED)}:\n    {other}")
                lines += [f"else:\n    {draw(STATEMENTS).strip()}"] if draw(st.booleans()) else []
                lines += [f"finally:\n    {draw(STATEMENTS).strip()}"] if draw(st.booleans()) else []
            case "with":
                lines.append(f"with {draw(GUARDS)}:\n    {inner}")
            case "end" if depth < 2:
                lines.append(draw(ENDS))
            case "turn" if in_loop:
                lines.append(draw(st.sampled_from(["break", "continue"])))
            case _:
                lines.append(other)
    return "\n".join(lines)


@st.composite
def operators(draw: st.DrawFn) -> str:
    """An operator with a drawn `execute`, or with the execute of its base and a helper of its own."""
    start = "verb = 'run'\nwords = [DBT]\ncopied = []\nenv = {}\n"
    helper = draw(
        st.sampled_from(["", "", "prepare(self)", "extra(self)", "twice(self)", "pick(self, word)"])
    )
    if not helper:
        return operator(start + draw(bodies()))
    own = start + "context = {}\n" + draw(bodies(1))
    return operator(start + draw(bodies()), base="Base").replace("class Op(Base):", "class Base(Helped):") + (
        f"\n\nclass Op(Base):\n    def {helper}:\n" + textwrap.indent(own, " " * 8) + "\n"
    )


CONTEXTS = st.fixed_dictionaries({"x": st.booleans(), "many": st.lists(st.sampled_from("ab"), max_size=2)})


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(source=operators(), full=st.booleans(), context=CONTEXTS)
def test_a_drawn_operator_is_never_guessed(
    workshop: Workshop, source: str, full: bool, context: dict[str, Any]
) -> None:
    """Whatever its `execute` does: without a doubt, a condition or a hole, what was followed is what is started, with
    which environment, and whether its failure fails the task. A task that raises gets less far."""
    said = read(workshop, source, full=full)
    if not said.is_certain:
        return
    run = workshop.run(said.make(), context)
    reached = said.calls if run.raised is None else said.calls[: len(run.started)]
    assert [call[:2] for call in reached if call] == run.started
    if run.raised is None:
        assert reached == said.really(context)


def test_a_mixin_of_the_teams_comes_first(workshop: Workshop, tmp_path: Path) -> None:
    """Python's order of bases, not that of the text."""
    source = """
    class Mixin:
        def words(self):
            return ["dbt", "seed"]

    class Base(BashOperator):
        def words(self):
            return ["dbt", "run"]

        def execute(self, context):
            subprocess.run(self.words(), check=True)

    class Op(Mixin, Base):
        pass
    """
    said = read(workshop, source)
    assert said.calls == said.really({}) == [(["dbt", "seed"], {}, True)]


def test_a_replaced_method_is_not_shown(workshop: Workshop) -> None:
    """What stands in the class is not what is called: nothing is followed."""
    source = """
    class Op(BashOperator):
        def execute(self, context):
            subprocess.run(["dbt", "run"])

    def other(self, context):
        subprocess.run(["dbt", "test"])

    Op.execute = other
    """
    said = read(workshop, source)
    assert said.followed.calls == ()
