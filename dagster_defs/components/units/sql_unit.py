"""The mirror of a task that runs SQL: Dagster runs the same SQL, and a candidate's writes go to its own tables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Any

import dagster as dg
from sqlglot import exp

from dagster_defs.adapters.warehouse.places import warehouse_of_target
from dagster_defs.adapters.warehouse.seam import CandidateWork, SqlWork
from dagster_defs.adapters.warehouse.statements import split
from dagster_defs.components.runs.callbacks import Told
from dagster_defs.components.runs.run_window import window_metadata
from dagster_defs.components.runs.tries import time_limit
from dagster_defs.components.units.scaffold import SqlUnitScaffolder
from dagster_defs.components.units.task_unit import TemplateUnit
from dagster_defs.errors import BadUnit, NotProvedSafe, TemplateFailed
from dagster_defs.lifecycle.candidate_sql import Home, Places, folded, makes, redirected
from dagster_defs.lifecycle.mirrors import TableOutput, any_moment
from dagster_defs.parity import Side
from dagster_defs.windows import Moment, PartitionVars

NEVER = "Declare the table in `outputs`, or `shadow: never` and `because`"


@dg.scaffold_with(SqlUnitScaffolder)
@dataclass
class SqlUnit(TemplateUnit):
    """A legacy task that runs SQL, such as an SQLExecuteQueryOperator, on a target of a dbt profile.

    The candidate runs the same SQL with its declared tables in place of legacy's, and reads legacy's tables wherever it
    writes none. SQL for which that cannot be proved is refused.
    """

    sql: Annotated[
        str | Sequence[str],
        dg.Resolver.passthrough(
            description=(
                "The operator's SQL: a template, a list of templates, or the name of a file that ends with .sql."
            ),
            examples=["delete from sales.daily where day = '{{ ds }}'"],
        ),
    ] = field(default="", kw_only=True)
    parameters: Annotated[
        Mapping[str, Any] | Sequence[Any] | None,
        dg.Resolver.passthrough(
            description="The operator's parameters, which the driver binds; texts are templates.",
            examples=[{"day": "{{ ds }}"}],
        ),
    ] = field(default=None, kw_only=True)
    autocommit: Annotated[
        bool,
        dg.Resolver.default(description="The operator's autocommit; a candidate runs in one transaction."),
    ] = field(default=False, kw_only=True)
    split_statements: Annotated[
        bool,
        dg.Resolver.default(
            description="The operator's split_statements; on Snowflake its hook splits by default."
        ),
    ] = field(default=False, kw_only=True)

    own_kind = "sql"

    @property
    def does(self) -> str:
        return "the SQL"

    @cached_property
    def variables(self) -> PartitionVars:
        templates: dict[str, Any] = {"sql": self._texts}
        if self.parameters:
            templates["parameters"] = {"template": self.parameters}
        return self.compile_templates(templates, "sql", self.params)

    @property
    def _texts(self) -> str | list[str]:
        if isinstance(self.sql, str):
            return self._text(self.sql)
        return [self._text(each) for each in self.sql]

    def _text(self, written: str) -> str:
        return self.template_text("sql", written, (".sql",))

    def refuse_faults(self, *, resolved: bool) -> None:
        super().refuse_faults(resolved=resolved)
        if not self.sql:
            raise BadUnit(self.unit, "`sql` is empty", "Write what the task runs")
        if resolved and not self.never_compared:
            try:
                window = any_moment(self)
                statements = self._statements(self.variables.for_window(window))
                self._redirected(statements, self._places(self._tables(window)))
            except NotProvedSafe as error:
                raise BadUnit(self.unit, f"`sql`: {error}", NEVER) from error
            except TemplateFailed:
                if self.event is None:
                    raise  # without a clock, it may need a conf, and is proved before each run

    def _statements(self, rendered: Mapping[str, Any]) -> list[str]:
        """What the hook would execute, one after the other."""
        written = rendered["sql"]
        if isinstance(written, list):
            return written
        return split(written) if self.split_statements else [written]

    def work(
        self, context: dg.AssetExecutionContext, side: Side, told: Told
    ) -> Iterator[dg.MaterializeResult[None]]:
        window = self.window_of_side(context, side)
        told.begins()
        with self.tries.of(context):
            rendered = self.variables.for_window(window)
            work = SqlWork(
                workspace=self.workspace(side),
                statements=self._statements(rendered),
                parameters=rendered.get("parameters"),
                autocommit=self.autocommit,
                timeout=self.timeout,
                say=context.log.info,
            )
            if side is Side.CANDIDATE:
                work = self._of_candidate(work, window)
            with time_limit(context, f"the SQL of {window}", self.timeout):
                warehouse_of_target(work.workspace).execute(work)
        yield from self.results(context, window_metadata([window]))

    def _of_candidate(self, work: SqlWork, window: Moment) -> SqlWork:
        """The same work in the candidate's own tables. Raises NotProvedSafe."""
        tables = self._tables(window)
        places = self._places(tables)
        candidate = self._candidate_work(work.statements, tables, places)
        return replace(work, statements=self._redirected(work.statements, places), candidate=candidate)

    def _redirected(self, statements: Sequence[str], places: Places) -> list[str]:
        return redirected(statements, places, bound=bool(self.parameters))

    def _tables(self, window: Moment) -> list[TableOutput]:
        return [output for output in self.outputs_of(window) if isinstance(output, TableOutput)]

    def _places(self, tables: Sequence[TableOutput]) -> Places:
        legacy, candidate = (self.workspace(side) for side in Side)
        warehouse = warehouse_of_target(candidate)
        theirs, ours = legacy.credentials, candidate.credentials
        if theirs.type != ours.type:
            reason = f"`warehouse`: {legacy.target} is {theirs.type}, and {candidate.target} is {ours.type}"
            raise BadUnit(self.unit, reason, "Name two targets of one warehouse")
        seen_as = warehouse.legacy_seen_as(ours, theirs)
        return Places(
            ours.type,
            Home(*warehouse.home(theirs)),
            Home(*warehouse.home(ours)),
            [(table.legacy, table.candidate) for table in tables],
            exp.to_identifier(seen_as, quoted=True) if seen_as else None,
        )

    def _candidate_work(
        self, statements: Sequence[str], tables: Sequence[TableOutput], places: Places
    ) -> CandidateWork:
        kind = places.dialect
        own = [exp.to_table(table.candidate, dialect=kind) for table in tables]
        schemas = [places.candidate, *(Home(table.args["catalog"], table.args["db"]) for table in own)]
        return CandidateWork(
            unit=self.unit,
            legacy=self.workspace(Side.LEGACY),
            schemas=list(dict.fromkeys(home.seen_from(places.candidate, kind) for home in schemas)),
            lacking=[
                places.emptied(table.legacy, table.candidate)
                for table in tables
                if not table.of_window and not makes(statements, table.legacy, places)
            ],
            tables=frozenset((folded(table.args["db"], kind), folded(table.this, kind)) for table in own),
        )
