"""Whom a unit's runs tell how they went, as its DAG did in Airflow."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Annotated, Literal

import dagster as dg

from dagster_defs.adapters.files.legacy_code import LegacyFunction
from dagster_defs.components.runs.callbacks import Callbacks, Told
from dagster_defs.errors import BadUnit
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.alerts import Cause
from dagster_defs.lifecycle.callback_context import CALLS_OF_DAG, CALLS_OF_TASK, Calls
from dagster_defs.lifecycle.mail_of_tasks import TaskMail
from dagster_defs.parity import Side
from dagster_defs.windows import Times


@dataclass
class Telling(dg.Resolvable):
    """Attributes of every mirror; a part of `UnitComponent`, which has the properties below."""

    on_failure: Annotated[
        str | Sequence[str] | None,
        dg.Resolver.default(
            description="Airflow's `on_failure_callback`, a dotted path or several: for runs that Airflow did not "
            "launch.",
            examples=["include.alerts.report_failure"],
        ),
    ] = field(default=None, kw_only=True)
    on_success: Annotated[
        str | Sequence[str] | None,
        dg.Resolver.default(description="Airflow's `on_success_callback`, likewise."),
    ] = field(default=None, kw_only=True)
    on_retry: Annotated[
        str | Sequence[str] | None,
        dg.Resolver.default(description="Airflow's `on_retry_callback`, likewise."),
    ] = field(default=None, kw_only=True)
    on_execute: Annotated[
        str | Sequence[str] | None,
        dg.Resolver.default(description="Airflow's `on_execute_callback`, likewise."),
    ] = field(default=None, kw_only=True)
    on_skipped: Annotated[
        str | Sequence[str] | None,
        dg.Resolver.default(description="Airflow's `on_skipped_callback`, likewise."),
    ] = field(default=None, kw_only=True)
    dag_on_failure: Annotated[
        str | Sequence[str] | None,
        dg.Resolver.default(
            description="The DAG's own `on_failure_callback`: for its runs in Dagster, once it is retired."
        ),
    ] = field(default=None, kw_only=True)
    dag_on_success: Annotated[
        str | Sequence[str] | None,
        dg.Resolver.default(description="The DAG's own `on_success_callback`, likewise."),
    ] = field(default=None, kw_only=True)
    email: Annotated[
        Sequence[str],
        dg.Resolver.default(
            description="Airflow's `email`: addresses that are told of its failures, by the receiver that "
            "`mails_of_tasks` of the component Alerts names."
        ),
    ] = field(default_factory=list, kw_only=True)
    email_on: Annotated[
        Sequence[Literal["failure", "retry"]],
        dg.Resolver.default(
            description="Airflow's `email_on_failure` and `email_on_retry`: which of the two hold."
        ),
    ] = field(default_factory=lambda: ["failure", "retry"], kw_only=True)

    @property
    def mail(self) -> TaskMail:
        return TaskMail(tuple(self.email), frozenset(map(Cause, self.email_on)))

    @property
    def legacy_unit(self) -> Unit:
        raise NotImplementedError

    @property
    def times(self) -> Times:
        raise NotImplementedError

    def legacy_function(self, path: str) -> LegacyFunction:
        raise NotImplementedError

    @property
    def callbacks(self) -> Calls:
        """The dotted paths that are declared for the task, by attribute."""
        return self._named(CALLS_OF_TASK)

    @property
    def dag_callbacks(self) -> Calls:
        """Those for the DAG's runs, by attribute."""
        return self._named(CALLS_OF_DAG)

    def _named(self, names: Iterable[str]) -> Calls:
        named = {name: getattr(self, name) for name in names}
        paths = {
            name: (said,) if isinstance(said, str) else tuple(said or ()) for name, said in named.items()
        }
        return {name: those for name, those in paths.items() if any(those)}

    def refuse_bad_callbacks(self) -> None:
        """Detects a missing callback before the day it is needed, without importing anything. Raises BadUnit."""
        for name, paths in (*self.callbacks.items(), *self.dag_callbacks.items()):
            for path in paths:
                if reason := self.legacy_function(path).refusal():
                    raise BadUnit(
                        str(self.legacy_unit),
                        f"`{name}` names {path!r}, and {reason}",
                        f"Fix `{name}` or `python_path` in its YAML",
                    )

    def calling_back(self, context: dg.AssetExecutionContext, side: Side) -> AbstractContextManager[Told]:
        """Call its callbacks around the block. Nobody is notified of a candidate."""
        if not self.callbacks or side is Side.CANDIDATE:
            return nullcontext(Told())
        functions = {name: [*map(self.legacy_function, paths)] for name, paths in self.callbacks.items()}
        return Callbacks(self.legacy_unit, self.times, functions).of(context)
