"""Programs that a legacy task runs before and after dbt, whose effects must not be doubled."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Protocol

import dagster as dg

from dagster_defs.adapters.processes.piped import Log, TimeLeft, run_piped
from dagster_defs.errors import BadUnit, CommandFailed, TimedOut
from dagster_defs.lifecycle.programs_beside import ProgramBeside
from dagster_defs.parity import Side
from dagster_defs.settings import Settings
from dagster_defs.windows import Moment, PartitionVars

Commands = Annotated[
    Sequence[Any],
    dg.Resolver.passthrough(
        description=(
            "Programs that the legacy task runs beside dbt, each as a list of words, which are templates; or `{run, "
            "env, may_fail, shadow}`. They run for each window on the owner's side alone, because their effects must "
            "not be doubled; with `shadow: true` in candidate runs too. A program in `before` that fails ends the "
            "run; those in `after` run only if dbt has succeeded. With `may_fail: true` a failure changes nothing."
        ),
        examples=[[["aws", "s3", "sync", "s3://raw/{{ ds }}", "data"]]],
    ),
]
_OPTIONS = frozenset({"run", "env", "may_fail", "shadow"})
_WORDS, _ENV = "words", "env"
_NOT_FOUND = 127  # a shell's exit code for a program that does not exist


@dataclass(frozen=True)
class SideProgram:
    """`name`: its place and number, such as `before-1`. `templates` render its words and its environment."""

    name: str
    program: str
    templates: PartitionVars
    may_fail: bool
    shadow: bool

    @property
    def declared(self) -> ProgramBeside:
        return ProgramBeside(self.program, self.name.partition("-")[0], self.shadow)

    def words(self, window: Moment) -> list[str]:
        return list(self.templates.for_window(window)[_WORDS])

    def environment(self, window: Moment) -> dict[str, str]:
        return dict(self.templates.for_window(window)[_ENV])


@dataclass(frozen=True)
class SidePrograms:
    """The programs before dbt, or those after it, in order."""

    programs: tuple[SideProgram, ...] = ()

    def of(self, side: Side) -> "SidePrograms":
        """Those that a run of this side starts: a candidate starts only those with `shadow: true`."""
        if side is Side.LEGACY:
            return self
        return SidePrograms(tuple(program for program in self.programs if program.shadow))

    def run(
        self,
        unit: str,
        windows: Sequence[Moment],
        *,
        environment: Mapping[str, str],
        cwd: Path,
        left: TimeLeft,
        say: Callable[[str], Any],
    ) -> None:
        """Run all of them for each window. Raises CommandFailed or TimedOut."""
        for window in windows:
            for program in self.programs:
                variables = {
                    **Settings.from_process().variables,
                    **environment,
                    **program.environment(window),
                }
                words = program.words(window)
                say(f"{program.name} of {window}: `{words[0]}` with {len(words) - 1} arguments")
                try:
                    code = run_piped(words, env=variables, log=Log(say), is_over=left.is_over, cwd=cwd)
                except OSError as error:
                    say(f"`{words[0]}` cannot be started: {error.strerror or error}")
                    code = _NOT_FOUND
                if code is None:
                    raise TimedOut(f"`{words[0]}`", left.limit or 0)
                if code != 0 and not program.may_fail:
                    place = program.name.partition("-")[0]
                    raise CommandFailed(unit, code, f"It was `{words[0]}` {place} dbt: read the run's log")


class RunningUnit(Protocol):
    """What a run's programs need to know of its unit."""

    unit: str
    timeout: float | None

    @property
    def project_dir(self) -> Path: ...


class ProgramsOfRun:
    """Starts the programs of one run. `whole`: everything that the unit builds was requested."""

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        unit: RunningUnit,
        side: Side,
        windows: Sequence[Moment],
        environment: Mapping[str, str],
        *,
        whole: bool,
    ) -> None:
        self._context, self._unit, self._side, self._windows = context, unit, side, windows
        self._environment, self._whole = environment, whole
        self.left = TimeLeft(None if unit.timeout is None else unit.timeout * len(windows))

    def run(self, programs: SidePrograms) -> None:
        mine = programs.of(self._side) if self._whole else SidePrograms()
        for program in programs.programs:
            if program not in mine.programs:
                why = (
                    "a candidate run must not double its effect"
                    if self._whole
                    else "only a part was requested"
                )
                self._context.log.info(f"`{program.program}` was not run: {why}")
        mine.run(
            self._unit.unit,
            self._windows,
            environment=self._environment,
            cwd=self._unit.project_dir,
            left=self.left,
            say=self._context.log.info,
        )


def programs_of(
    unit: str,
    place: str,
    commands: Sequence[Any],
    compiled: Callable[[Mapping[str, Any], str], PartitionVars],
) -> SidePrograms:
    """`compiled`: compiles what the YAML declares at a place (`before`, `after`) as templates. Raises BadUnit."""
    return SidePrograms(tuple(_programs(unit, place, commands, compiled)))


def _programs(
    unit: str,
    place: str,
    commands: Sequence[Any],
    compiled: Callable[[Mapping[str, Any], str], PartitionVars],
) -> Iterator[SideProgram]:
    for number, command in enumerate(commands):
        entry = command if isinstance(command, Mapping) else {"run": command}
        if why := _refusal(entry):
            raise BadUnit(unit, f"`{place}`: entry {number + 1} {why}", "Correct it in its YAML")
        templates = compiled({_WORDS: list(entry["run"]), _ENV: dict(entry.get("env") or {})}, place)
        may_fail, shadow = bool(entry.get("may_fail")), bool(entry.get("shadow"))
        yield SideProgram(f"{place}-{number + 1}", entry["run"][0], templates, may_fail, shadow)


def _refusal(entry: Mapping[str, Any]) -> str:
    words, env = entry.get("run"), entry.get("env") or {}
    if unknown := sorted(map(str, entry.keys() - _OPTIONS)):
        return f"has {', '.join(unknown)}, but only run, env, may_fail and shadow are known"
    if not isinstance(words, list | tuple) or not words or not all(isinstance(word, str) for word in words):
        return "is not a list of words: [aws, s3, sync, …]. For shell text write [bash, -c, '…']"
    if not isinstance(env, Mapping) or not all(
        isinstance(each, str) for pair in env.items() for each in pair
    ):
        return "has an `env` that does not map text to text"
    if not all(isinstance(entry.get(name, False), bool) for name in ("may_fail", "shadow")):
        return "has `may_fail` or `shadow` that is neither true nor false"
    return ""


class RunsPrograms:
    """A mirror whose task runs programs `before` and `after` dbt."""

    unit: str
    before: Sequence[Any]
    after: Sequence[Any]

    def compile_templates(self, templates: Mapping[str, Any], where: str) -> PartitionVars:
        raise NotImplementedError

    @cached_property
    def programs_before(self) -> SidePrograms:
        return programs_of(self.unit, "before", self.before, self.compile_templates)

    @cached_property
    def programs_after(self) -> SidePrograms:
        return programs_of(self.unit, "after", self.after, self.compile_templates)

    @property
    def programs(self) -> Sequence[SideProgram]:
        return [*self.programs_before.programs, *self.programs_after.programs]

    @property
    def has_programs(self) -> bool:
        """Whether it runs any programs, which it does once for each window."""
        return bool(self.programs)
