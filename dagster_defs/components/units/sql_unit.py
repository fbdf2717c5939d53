"""The mirror of a task that runs SQL: Dagster runs the same SQL, and a candidate's writes go to its own tables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any

import dagster as dg
from sqlglot import exp

from dagster_defs.adapters.warehouse.places import warehouse_of_target
from dagster_defs.adapters.warehouse.seam import CandidateWork, SqlWork
from dagster_defs.adapters.warehouse.statements import split
from dagster_defs.components.runs.run_window import window_metadata
from dagster_defs.components.runs.tries import time_limit
from dagster_defs.components.units.scaffold import SqlUnitScaffolder
from dagster_defs.components.units.task_unit import TemplateUnit
from dagster_defs.errors import BadUnit, NotProvedSafe, TemplateFailed
from dagster_defs.lifecycle.candidate_sql import Home, Places, folded, makes, redirected
from dagster_defs.lifecycle.mirrors import Declared, TableOutput, any_moment
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
        _ = self.variables
        if resolved and not self.never_compared:
            try:
                self._candidate_texts(any_moment(self))
            except NotProvedSafe as error:
                raise BadUnit(self.unit, f"`sql`: {error}", NEVER) from error
            except TemplateFailed:
                if self.event is None:
                    raise  # without a clock, it may need a conf, and is proved before each run

    def declared(self) -> Declared:
        return self.declaring(
            runs="the SQL",
            nodes=None,
            variables=self.variables,
            event_times=None,
            reads=self.read_keys,
            writes=self.write_keys,
            fields=("sql", "parameters") if self.parameters else ("sql",),
        )

    def statements(self, window: Moment) -> list[str]:
        """What the hook would execute, one after the other."""
        written = self.variables.for_window(window)["sql"]
        if isinstance(written, list):
            return written
        return split(written) if self.split_statements else [written]

    def run_side(self, context: dg.AssetExecutionContext, side: Side) -> Iterator[dg.MaterializeResult[None]]:
        with self.telling_of_failure(context, side):
            yield from self._run(context, side)

    def _run(self, context: dg.AssetExecutionContext, side: Side) -> Iterator[dg.MaterializeResult[None]]:
        window = self.window_of_side(context, side)
        with self.tries.of(context):
            work = SqlWork(
                workspace=self.workspace(side),
                statements=self.statements(window) if side is Side.LEGACY else self._candidate_texts(window),
                parameters=self.variables.for_window(window).get("parameters"),
                autocommit=self.autocommit,
                timeout=self.timeout,
                say=context.log.info,
                candidate=None if side is Side.LEGACY else self._candidate_work(window),
            )
            with time_limit(context, f"the SQL of {window}", self.timeout):
                warehouse_of_target(work.workspace).execute(work)
        yield from self.results(context, window_metadata([window]))

    def _candidate_texts(self, window: Moment) -> list[str]:
        return redirected(
            self.statements(window), self._places(self._tables(window)), bound=bool(self.parameters)
        )

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

    def _candidate_work(self, window: Moment) -> CandidateWork:
        tables = self._tables(window)
        places, texts = self._places(tables), self.statements(window)
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
                if not table.of_window and not makes(texts, table.legacy, places)
            ],
            tables=frozenset((folded(table.args["db"], kind), folded(table.this, kind)) for table in own),
        )
