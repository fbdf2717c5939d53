"""SQL of a legacy task as its candidate may run it: every write goes to the candidate's tables, or it is refused.

The proof is a list of what is allowed. A statement, a clause or a function that is not on it is refused, because what
cannot be understood here may write to legacy (decision 23).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sqlglot import ErrorLevel, exp, parse
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers

from dagster_defs.errors import NotProvedSafe
from dagster_defs.lifecycle.harmless_functions import HARMLESS

_READS = (exp.Select, exp.SetOperation, exp.Subquery)
_WRITES = (exp.Insert, exp.Update, exp.Delete, exp.Merge)
_MADE = frozenset({"TABLE", "VIEW", "INDEX"})
_DROPPED = frozenset({"TABLE", "VIEW"})
_PROPERTIES = (exp.TemporaryProperty, exp.TransientProperty, exp.LikeProperty, exp.UnloggedProperty)
_CHANGES = (exp.ColumnDef, exp.Drop, exp.AlterRename, exp.SwapTable)
# Locks, foreign keys, sequences, names that are computed, and operators from other schemas.
_NEVER = (
    exp.Command,
    exp.DynamicIdentifier,
    exp.Lock,
    exp.NextValueFor,
    exp.Operator,
    exp.Parameter,
    exp.Reference,
    exp.SessionParameter,
    exp.TableFromRows,
)
_MARK = "parity_bound_"
_BOUND = re.compile(r"%\(\w+\)s|%s")
_UNBOUND = re.compile(rf"%\({_MARK}(\d+)\)s|[:$]{_MARK}(\d+)\b")


@dataclass(frozen=True, slots=True)
class Home:
    """The database and the schema that unqualified names are in."""

    database: exp.Identifier
    schema: exp.Identifier

    def table(self, named: exp.Table) -> exp.Table:
        """A table in full."""
        schema, database = named.args.get("db") or self.schema, named.args.get("catalog") or self.database
        return exp.Table(this=named.this.copy(), db=schema.copy(), catalog=database.copy())

    def seen_from(self, session: Home, dialect: str) -> str:
        """The schema's name in a session; its database only if it is another: PostgreSQL's SQL has no place for it."""
        same = folded(self.database, dialect) == folded(session.database, dialect)
        catalog = None if same else self.database.copy()
        return exp.Table(this=None, db=self.schema.copy(), catalog=catalog).sql(dialect=dialect)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the two sides are. `tables`: each declared output, legacy's and the candidate's, in full.

    `legacy_seen_as`: the name of legacy's database in the candidate's session, if it is not its own.
    """

    dialect: str
    legacy: Home
    candidate: Home
    tables: Sequence[tuple[str, str]]
    legacy_seen_as: exp.Identifier | None = None

    def emptied(self, legacy: str, candidate: str) -> tuple[str, str]:
        """A query that fails without legacy's table, and the statement that makes an empty one like it."""
        source = exp.to_table(legacy, dialect=self.dialect)
        if self.legacy_seen_as is not None:
            source.set("catalog", self.legacy_seen_as.copy())
        query = exp.select("*").from_(source).where(exp.false())
        table = exp.to_table(candidate, dialect=self.dialect)
        make = exp.Create(this=table, kind="TABLE", exists=True, expression=query)
        return query.sql(dialect=self.dialect), make.sql(dialect=self.dialect)


Name = tuple[str, str, str]


def folded(name: exp.Expr, dialect: str) -> str:
    """An identifier as the warehouse keeps it."""
    return normalize_identifiers(name.copy(), dialect=dialect).name


@dataclass
class _Redirect:
    places: Places
    temporary: set[str] = field(default_factory=set)
    views: set[str] = field(default_factory=set)
    """The names of views that it makes: in PostgreSQL, what is written into one reaches the table behind it."""

    def __post_init__(self) -> None:
        dialect = self.places.dialect
        pairs = [[exp.to_table(each, dialect=dialect) for each in pair] for pair in self.places.tables]
        self.own: dict[Name, exp.Table] = {self.full(legacy): candidate for legacy, candidate in pairs}

    def targets(self, statement: exp.Expr) -> list[exp.Table] | None:
        """The tables that a statement writes; None if it does nothing for a candidate. Raises NotProvedSafe."""
        if isinstance(statement, exp.Transaction | exp.Commit | exp.Semicolon):
            return None  # a candidate runs in one transaction
        if isinstance(statement, exp.Create) and statement.kind == "SCHEMA" and statement.args.get("exists"):
            return None  # the candidate's schemas are made anyway
        self._refuse_unknown(statement)
        return list(self._targets(statement))

    def statement(self, statement: exp.Expr) -> exp.Expr | None:
        """The statement for the candidate; None if it does nothing there. Raises NotProvedSafe."""
        targets = self.targets(statement)
        if targets is None:
            return None
        self._refuse_views(statement, targets)
        by_id = {id(target) for target in targets}
        read: set[int] = set()
        if _makes_temporary(statement):
            read = self._make_temporary(statement, by_id)
        dropped = isinstance(statement, exp.Drop)
        tables = list(statement.find_all(exp.Table))
        for table in tables:
            if id(table) not in read:
                self._redirect(table, statement, is_written=id(table) in by_id)
        for column in statement.find_all(exp.Column):
            column.set("db", None)
            column.set("catalog", None)
        if dropped:
            self.temporary -= {self._folded(table.this) for table in tables if not table.args.get("db")}
        return statement

    def full(self, table: exp.Table) -> Name:
        """Database, schema and name, as the warehouse folds them."""
        database = table.args.get("catalog") or self.places.legacy.database
        schema = table.args.get("db") or self.places.legacy.schema
        return self._folded(database), self._folded(schema), self._folded(table.this)

    def _folded(self, name: exp.Expr) -> str:
        return folded(name, self.places.dialect)

    def _targets(self, statement: exp.Expr) -> Iterator[exp.Table]:
        for write in statement.find_all(*_WRITES):
            if not isinstance(write.parent, exp.When):  # a branch of a merge, which names no table
                yield self._table(write.this)
        for into in statement.find_all(exp.Into):
            yield self._table(into.this)
        match statement:
            case exp.Create():
                made = statement.this
                yield self._table(made.args["table"] if isinstance(made, exp.Index) else made)
            case exp.Drop():
                for dropped in statement.args.get("tables") or [statement.this]:
                    yield self._table(dropped)
            case exp.TruncateTable():
                yield from map(self._table, statement.expressions)
            case exp.Alter():
                yield self._table(statement.this)
                for change in statement.args["actions"]:
                    if isinstance(change, exp.AlterRename | exp.SwapTable):
                        yield self._table(change.this)
            case _:
                pass

    def _refuse_views(self, statement: exp.Expr, targets: Sequence[exp.Table]) -> None:
        """Whatever schema it is in, a name that is a view's anywhere in the text is taken for that view."""
        if isinstance(statement, exp.Create) and statement.kind == "VIEW":
            self.views.add(self._folded(targets[0].this))
        elif not isinstance(statement, exp.Create | exp.Drop):
            for target in targets:
                if self._folded(target.this) in self.views:
                    raise NotProvedSafe(
                        f"it writes into the view {target.name}, and so into what is behind it"
                    )

    def _table(self, written: exp.Expr | None) -> exp.Table:
        if isinstance(written, exp.Schema):
            written = written.this
        if not isinstance(written, exp.Table) or not isinstance(written.this, exp.Identifier):
            raise NotProvedSafe(f"what it writes has no plain name: {self._quoted(written)}")
        return written

    def _redirect(self, table: exp.Table, statement: exp.Expr, *, is_written: bool) -> None:
        if not isinstance(table.this, exp.Identifier):
            if not isinstance(table.this, exp.Func) or table.args.get("db"):
                raise NotProvedSafe(f"it reads {self._quoted(table)}, which has no plain name")
            return
        qualified = bool(table.args.get("db"))
        if self.is_temporary(table):
            return
        if not qualified and not is_written and self._is_cte(table):
            return
        name = self.full(table)
        if name in self.own:
            self._replace(table, self.own[name], statement, is_written=is_written)
        elif is_written:
            raise NotProvedSafe(f"it writes {'.'.join(name)}, which is not one of the unit's declared tables")
        elif not (not qualified and table.this.quoted and re.search(r"[./]", table.this.name)):  # no file
            database = table.args.get("catalog") or self.places.legacy.database
            own_database = self._folded(database) == self._folded(self.places.legacy.database)
            seen_as = self.places.legacy_seen_as if own_database else None
            table.set("db", table.args.get("db") or self.places.legacy.schema.copy())
            table.set("catalog", (seen_as or database).copy())

    def _replace(
        self, table: exp.Table, candidate: exp.Table, statement: exp.Expr, *, is_written: bool
    ) -> None:
        before = table.this
        if isinstance(table.parent, exp.AlterRename):
            # The new name is in the same schema.
            table.set("this", candidate.this.copy())
            table.set("db", None)
            table.set("catalog", None)
            return
        for part in ("this", "db", "catalog"):
            table.set(part, candidate.args[part].copy())
        if self._folded(before) == self._folded(candidate.this) or table.alias:
            return
        if not is_written:
            table.set("alias", exp.TableAlias(this=before.copy()))
        elif any(
            column.table and self._folded(column.args["table"]) == self._folded(before)
            for part in _parts_that_see(table)
            for column in part.find_all(exp.Column)
        ):
            raise NotProvedSafe(
                f"it qualifies columns with {before.name}, and the candidate's table has another name"
            )

    def is_temporary(self, table: exp.Table) -> bool:
        return not table.args.get("db") and self._folded(table.this) in self.temporary

    def _make_temporary(self, statement: exp.Expr, targets: set[int]) -> set[int]:
        """Returns the tables that its query reads, by id: they are redirected."""
        made = self._table(statement.this)
        if made.args.get("db"):
            raise NotProvedSafe(f"its temporary table {self._quoted(made)} is in a schema")
        query = statement.args.get("expression")
        inside = list(query.find_all(exp.Table)) if query else []
        if any(id(table) in targets for table in inside):
            raise NotProvedSafe("a query inside it writes")
        for table in inside:  # they are read before the new name counts
            self._redirect(table, statement, is_written=False)
        self.temporary.add(self._folded(made.this))
        return {id(table) for table in inside}

    def _is_cte(self, table: exp.Table) -> bool:
        """Whether the name is that of a `with` above: of an earlier query of it, or of any further out."""
        name = self._folded(table.this)
        below: exp.Expr = table
        above = table.parent
        while above is not None:
            if isinstance(above, exp.With):
                # A query sees the ones before it, and itself if it is recursive.
                place = above.expressions.index(below)
                visible = above.expressions if above.args.get("recursive") else above.expressions[:place]
            else:
                queries = above.args.get("with_")
                visible = [] if queries is None or queries is below else queries.expressions
            if any(self._folded(query.args["alias"].this) == name for query in visible):
                return True
            below, above = above, above.parent
        return False

    def _refuse_unknown(self, statement: exp.Expr) -> None:
        if not self._is_known(statement):
            raise NotProvedSafe(f"there is no proof for {self._quoted(statement)}")
        for node in statement.walk():
            if isinstance(node, _NEVER) or (isinstance(node, exp.Column) and node.name.lower() in _SEQUENCES):
                raise NotProvedSafe(f"there is no proof for {self._quoted(node)}")
            if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc) and node.name.lower() not in HARMLESS:
                raise NotProvedSafe(f"it calls {node.name}(), and what that does is not known here")
            if isinstance(node, exp.Dot) and node.find(exp.Func):
                raise NotProvedSafe(f"it calls {self._quoted(node)}, and what that does is not known here")

    def _is_known(self, statement: exp.Expr) -> bool:
        match statement:
            case exp.Create():
                properties = statement.args.get("properties")
                return (
                    statement.kind in _MADE
                    and not statement.args.get("concurrently")
                    and all(
                        isinstance(each, _PROPERTIES) and not each.expressions
                        for each in (properties.expressions if properties else ())
                    )
                    and not any(like.expressions for like in statement.find_all(exp.LikeProperty))
                )
            case exp.Drop():
                return statement.args["kind"] in _DROPPED and not statement.args.get("cascade")
            case exp.TruncateTable():
                option = str(statement.args.get("option") or "").upper()
                return not statement.args.get("is_database") and option != "CASCADE"
            case exp.Alter():
                return statement.args["kind"] == "TABLE" and all(
                    map(_is_known_change, statement.args["actions"])
                )
            case _:
                return isinstance(statement, _READS + _WRITES)

    def _quoted(self, node: exp.Expr | None) -> str:
        text = " ".join(node.sql(dialect=self.places.dialect).split()) if node is not None else "nothing"
        return repr(text if len(text) <= 60 else f"{text[:57]}…")


_SEQUENCES = frozenset({"nextval", "currval"})


def _makes_temporary(statement: exp.Expr) -> bool:
    return isinstance(statement, exp.Create) and statement.find(exp.TemporaryProperty) is not None


def _parts_that_see(written: exp.Table) -> list[exp.Expr]:
    """The parts of a write in which the name of its table may qualify columns."""
    write = written.find_ancestor(*_WRITES)
    if isinstance(write, exp.Insert):
        return [part for name in ("conflict", "returning") if (part := write.args.get(name)) is not None]
    return [write] if write is not None else []


def _is_known_change(change: exp.Expr) -> bool:
    if isinstance(change, exp.Drop):
        return change.args.get("kind") == "COLUMN" and not change.args.get("cascade")
    return isinstance(change, _CHANGES)


def redirected(texts: Sequence[str], places: Places, *, bound: bool = False) -> list[str]:
    """The texts for the candidate: it writes its own tables, and reads legacy's wherever it does not write.

    The result is read again, and refused unless it writes nothing but the candidate's tables. Texts that do nothing
    there are left out. `bound`: the driver replaces its placeholders. Raises NotProvedSafe.
    """
    redirect = _Redirect(places)
    made: list[str] = []
    for text in texts:
        marked, placeholders = _marked(text) if bound else (text, [])
        statements = [redirect.statement(each) for each in _parsed(marked, places.dialect)]
        kept = [each.sql(dialect=places.dialect, comments=False) for each in statements if each is not None]
        if kept:
            made.append(_unmarked(";\n".join(kept), placeholders))
    _prove(made, places, bound=bound)
    return made


def written_tables(texts: Sequence[str], dialect: str) -> list[exp.Table]:
    """The tables that the texts write, as they name them, temporary ones left out. Raises NotProvedSafe."""
    home = Home(exp.to_identifier("parity"), exp.to_identifier("parity"))
    redirect = _Redirect(Places(dialect, home, home, ()))
    found: dict[Name, exp.Table] = {}
    for text in texts:
        for statement in _parsed(_marked(text)[0], dialect):
            for table in redirect.targets(statement) or ():
                if not redirect.is_temporary(table) and not _makes_temporary(statement):
                    found.setdefault(redirect.full(table), table.copy())
                    redirect.own[redirect.full(table)] = home.table(table)
            redirect.statement(statement)  # as a candidate would run it if all of these were declared
    return list(found.values())


def makes(texts: Sequence[str], table: str, places: Places) -> bool:
    """Whether one of the texts creates the table, so that it need not be there before."""
    redirect = _Redirect(places)
    name = redirect.full(exp.to_table(table, dialect=places.dialect))
    statements = (each for text in texts for each in _parsed(_marked(text)[0], places.dialect))
    creates = (each for each in statements if isinstance(each, exp.Create) and each.kind in _DROPPED)
    return any(redirect.full(redirect._table(each.this)) == name for each in creates)


def _prove(texts: Sequence[str], places: Places, *, bound: bool) -> None:
    """Read the result as if it were the candidate's own text, in which nothing may still have to be redirected."""
    own = [(candidate, candidate) for _, candidate in places.tables]
    again = _Redirect(Places(places.dialect, places.candidate, places.candidate, own))
    for text in texts:
        for statement in _parsed(_marked(text)[0] if bound else text, places.dialect):
            again.statement(statement)


def _parsed(text: str, dialect: str) -> list[exp.Expr]:
    log = logging.getLogger("sqlglot")
    level = log.level
    # What it does not know becomes a Command, which is refused: no need for a warning.
    log.setLevel(logging.CRITICAL)
    try:
        found = parse(text, dialect=dialect, error_level=ErrorLevel.IMMEDIATE)
    except SqlglotError as error:
        raise NotProvedSafe(f"it cannot be parsed: {str(error).splitlines()[0]}") from error
    finally:
        log.setLevel(level)
    return [statement for statement in found if statement is not None]


def _marked(text: str) -> tuple[str, list[str]]:
    """The text with the driver's placeholders as names that sqlglot reads, and what they were."""
    bound: list[str] = []

    def mark(placeholder: re.Match[str]) -> str:
        bound.append(placeholder[0])
        return f":{_MARK}{len(bound) - 1}"

    return _BOUND.sub(mark, text), bound


def _unmarked(text: str, bound: Sequence[str]) -> str:
    return _UNBOUND.sub(lambda mark: bound[int(mark[1] or mark[2])], text)
