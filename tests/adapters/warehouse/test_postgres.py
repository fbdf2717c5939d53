"""PostgreSQL as `parity compare` reads it: real tables of every kind of type, on a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.warehouse.places import Readers
from dagster_defs.adapters.warehouse.postgres.reader import PostgresSession, without_address
from dagster_defs.adapters.warehouse.postgres.start import begin_with_legacy, holds_copy_of
from dagster_defs.adapters.warehouse.postgres.warehouse import PostgresWarehouse
from dagster_defs.adapters.warehouse.seam import TargetTable
from dagster_defs.cli import app
from dagster_defs.errors import BadPlace, LegacyOutOfReach, StatementFailed
from dagster_defs.parity import (
    Check,
    Column,
    ComparisonSpec,
    Relation,
    SchemaChange,
    Tolerance,
    ToleranceKind,
    compare,
)
from dagster_defs.usecases.shadow.start import CandidateStart
from tests.support.postgres import PostgresServer

DATABASE = "reading"


@pytest.fixture(scope="module")
def server(postgres: PostgresServer) -> PostgresServer:
    postgres.run(f"create database {DATABASE}")
    postgres.run("create schema legacy", "create schema candidate", database=DATABASE)
    return postgres


@pytest.fixture
def reader(server: PostgresServer) -> Iterator[PostgresSession]:
    with PostgresSession(server.credentials(DATABASE)) as session:
        yield session


def put(server: PostgresServer, side: str, query: str) -> Relation:
    """A side's table `t`, made by a query."""
    server.run(f"drop table if exists {side}.t", f"create table {side}.t as {query}", database=DATABASE)
    return Relation(DATABASE, side, "t")


def compared(
    server: PostgresServer, reader: PostgresSession, legacy: str, candidate: str, **more: Any
) -> Check:
    """Of one column `v`, of which each side is an expression."""
    reader.rest()
    own, other = (
        put(server, side, f"select 1 as id, {value} as v union all select 2, null")
        for side, value in (("legacy", legacy), ("candidate", candidate))
    )
    return compare(ComparisonSpec("v", own, other, key=("id",), **more), reader)


@pytest.mark.parametrize(
    ("legacy", "candidate"),
    [
        ("1.50::numeric(10,2)", "1.5::numeric"),
        ("0.1::float8", "0.10::numeric"),
        ("1e300::float8", "1e300::numeric"),
        ("'-0'::float8", "'0'::float4"),
        ("'NaN'::float4", "'NaN'::numeric"),
        ("'Infinity'::numeric", "'inf'::float8"),
        ("1::smallint", "1.000::numeric"),
        ("'a  '::char(5)", "'a'::text"),
        ("'a'::char(2)", "'a'::char(9)"),
        ("'x'::text collate \"C\"", "'x'::varchar(3) collate \"POSIX\""),
        ("date '2024-03-10'", "timestamp '2024-03-10 00:00'"),
        ("timestamp '2024-03-10 04:00'", "timestamptz '2024-03-10 09:45+05:45'"),
        ("date 'infinity'", "timestamptz 'infinity'"),
        ("date '0044-03-15 BC'", "timestamp '0044-03-15 BC'"),
        ("interval '1 year 1 month'", "interval '13 months'"),
        ("""'{"a": 1, "b": [1.0, 2]}'::json""", """'{"b":[1,2.00],"a":1e0}'::jsonb"""),
        ("'\"\\u00e9\"'::json", "'\"é\"'::jsonb"),
        ("array[1, 2]", "array[1.0, 2.00]"),
        ("array[1.0::float8, null]", "array[1, null]::int[]"),
        ("'1.00'::money", "'1'::money"),
        ("time '10:00'", "time(3) '10:00:00.000'"),
        ("'00000000-0000-0000-0000-000000000001'::uuid", "'{00000000000000000000000000000001}'::uuid"),
        ("'\\xff'::bytea", "decode('/w==', 'base64')"),
        ("'[1,3]'::int4range", "'[1,4)'::int4range"),
    ],
)
def test_equal_values_match(
    server: PostgresServer, reader: PostgresSession, legacy: str, candidate: str
) -> None:
    """A value that PostgreSQL's types write in two ways is one value."""
    check = compared(server, reader, legacy, candidate)

    assert check.verdict == "match", check.reason


@pytest.mark.parametrize(
    ("legacy", "candidate"),
    [
        ("1::bigint", "4294967296::bigint"),  # to PostgreSQL's own hash of a bigint they are one
        ("1e-30::numeric", "2e-30::numeric"),
        ("0.1::float4", "0.1::float8"),
        ("9007199254740993::bigint", "9007199254740992::float8"),
        ("'a'::text", "'A'::text"),
        ("'a '::text", "'a'::text"),
        ("'é'::text", "E'e\\u0301'::text"),
        ("''::text", "null::text"),
        ("interval '1 month'", "interval '30 days'"),
        ("timestamp '2024-03-10 00:00:00.000001'", "timestamp '2024-03-10'"),
        ("date 'infinity'", "date '-infinity'"),
        ("timetz '10:00+00'", "timetz '11:00+01'"),
        ("'[1, [2]]'::jsonb", "'[[1], 2]'::jsonb"),
        ("'[]'::jsonb", "'[[[]]]'::jsonb"),
        ('\'{"a": 1, "a": 2}\'::json', "'{\"a\": 2}'::json"),
        ("'[\"1\"]'::jsonb", "'[1]'::jsonb"),
        ("'null'::jsonb", "null::jsonb"),
        ("array[[1, 2]]", "array[[1], [2]]"),
        ("'[0:0]={1}'::int[]", "'{1}'::int[]"),
        ("array['a, b']", "array['a', 'b']"),
        ("array['null']", "array[null]::text[]"),
        ("'{}'::int[]", "null::int[]"),
        ("'1'::text", "1::int"),
        ("true", "'true'::text"),
        ("'\\x01'::bytea", "'\\x0100'::bytea"),
    ],
)
def test_other_values_do_not_match(
    server: PostgresServer, reader: PostgresSession, legacy: str, candidate: str
) -> None:
    """Values that look alike and are not the same differ, in the one column and the one row."""
    check = compared(server, reader, legacy, candidate)

    assert (check.verdict, check.modified, check.differing_columns) == ("mismatch", 1, ("v",)), check.reason


@pytest.mark.parametrize("kind", ["point", "xml", "numrange", "legacy.pair", "point[]"])
def test_what_cannot_be_compared_is_said(server: PostgresServer, reader: PostgresSession, kind: str) -> None:
    """A type of which PostgreSQL has no exact text is inconclusive by its name, and may be ignored."""
    if kind == "legacy.pair":
        server.run(
            "drop type if exists legacy.pair cascade",
            "create type legacy.pair as (a int, b numeric)",
            database=DATABASE,
        )
    value = f"null::{kind}"

    check = compared(server, reader, value, value)
    assert check.verdict == "inconclusive"
    assert "column v was not compared" in check.reason
    assert kind.removesuffix("[]") in check.reason

    ignored = (Tolerance("v", ToleranceKind.IGNORED),)
    check = compared(server, reader, value, value, tolerances=ignored)
    assert "no column outside the key was compared" in check.reason


def test_what_a_type_cannot_hold_is_said(server: PostgresServer, reader: PostgresSession) -> None:
    """A date past the end of timestamps fails the statement: inconclusive, with PostgreSQL's words, and the session
    goes on."""
    check = compared(server, reader, "date '5874897-12-31'", "timestamp '2024-03-10'")
    assert (check.verdict, "out of range" in check.reason) == ("inconclusive", True)

    assert compared(server, reader, "1", "1").verdict == "match"


def test_columns_are_in_postgres_words(server: PostgresServer, reader: PostgresSession) -> None:
    """A domain counts as what it is made of, an enumeration is named, and what is not there has no columns."""
    server.run(
        "create domain legacy.cents as numeric(9, 2)",
        "create type legacy.mood as enum ('a', 'b')",
        'create table legacy.kinds (a legacy.cents, "B b" legacy.mood, c timestamp(3), d varchar(4)[])',
        database=DATABASE,
    )

    assert reader.columns(Relation(DATABASE, "legacy", "kinds")) == [
        Column("a", "numeric(9,2)"),
        Column("B b", "ENUM(legacy.mood)"),
        Column("c", "timestamp(3) without time zone"),
        Column("d", "character varying(4)[]"),
    ]
    assert reader.columns(Relation(DATABASE, "legacy", "nothing")) is None


def test_the_keys_that_postgres_enforces(server: PostgresServer, reader: PostgresSession) -> None:
    """The primary key comes first; an index on some rows, on an expression, or on what may be NULL is no key, and
    neither is one that does not cover the rows of a table's children."""
    server.run(
        'create table legacy.keyed (a int, "B b" int not null, c int not null, d int, primary key (d, a))',
        'create unique index on legacy.keyed ("B b") include (c)',
        "create unique index on legacy.keyed (c) where c > 0",
        "create unique index on legacy.keyed ((c + 1))",
        "alter table legacy.keyed add column e int unique",
        "create table legacy.parent (a int primary key)",
        "create table legacy.child () inherits (legacy.parent)",
        "create table legacy.parts (a int primary key) partition by range (a)",
        "create view legacy.seen as select * from legacy.keyed",
        database=DATABASE,
    )
    reader.rest()

    found = {
        name: reader.unique_keys(Relation(DATABASE, "legacy", name))
        for name in ("keyed", "parent", "parts", "seen", "nothing")
    }

    assert found == {
        "keyed": [("d", "a"), ("B b",)],
        "parent": [],
        "parts": [("a",)],
        "seen": [],
        "nothing": [],
    }


@pytest.mark.parametrize("kind", ["date", "timestamp", "timestamptz"])
def test_a_window_is_half_open(server: PostgresServer, reader: PostgresSession, kind: str) -> None:
    """Rows from the first bound on count, those at the second do not, and those without a time are counted apart."""
    days = ", ".join(f"('{day}'::{kind})" for day in ("2024-03-09", "2024-03-10", "2024-03-11", "infinity"))
    query = f"select at from (values {days}, (null)) as days(at)"  # noqa: S608 - fixed
    reader.rest()
    own, other = (put(server, side, query) for side in ("legacy", "candidate"))
    spec = ComparisonSpec("days", own, other, time_column="at", lower="2024-03-10", upper="2024-03-11")

    check = compare(spec, reader)

    assert (check.rows.legacy, check.rows.candidate, check.null_time_rows.total) == (1, 1, 2)
    assert check.verdict == "inconclusive"  # for the rows without a time


def test_a_table_of_1600_columns(server: PostgresServer, reader: PostgresSession) -> None:
    """As wide as PostgreSQL allows: one changed value is found, in its column, and an equal table matches."""
    columns = ", ".join(f"g % {index + 2} as c{index}" for index in range(1_599))
    query = f"select g as id, {columns} from generate_series(1, 40) g"  # noqa: S608 - fixed
    reader.rest()
    legacy, candidate = (put(server, side, query) for side in ("legacy", "candidate"))
    spec = ComparisonSpec("wide", legacy, candidate, key=("id",))

    assert compare(spec, reader).verdict == "match"
    reader.rest()
    server.run("update candidate.t set c1234 = -1 where id = 7", database=DATABASE)
    check = compare(spec, reader)

    assert (check.modified, check.differing_columns) == (1, ("c1234",)), check.reason
    [sample] = check.samples
    assert sample["columns"] == {"c1234": {"legacy": "7", "candidate": "-1"}}


def test_a_column_of_another_name_is_found(server: PostgresServer, reader: PostgresSession) -> None:
    """A column of each side with the same values is a renamed one."""
    reader.rest()
    legacy = put(server, "legacy", "select 1 as id, 2.50 as fare")
    candidate = put(server, "candidate", "select 1 as id, 2.50 as price")

    check = compare(ComparisonSpec("names", legacy, candidate, key=("id",)), reader)

    assert [each.kind for each in check.schema_differences] == [SchemaChange.RENAMED]


def test_a_session_cannot_write(reader: PostgresSession) -> None:
    """Whatever statement it were: PostgreSQL refuses it."""
    with pytest.raises(StatementFailed, match="read-only transaction"):
        reader.rows("create table legacy.mine (a int)")


def test_a_statement_that_takes_too_long_is_ended(server: PostgresServer) -> None:
    """Each statement has a time-out, after which the session goes on."""
    with PostgresSession(server.credentials(DATABASE), timeout=1) as session:
        with pytest.raises(StatementFailed, match="statement timeout"):
            session.rows("select pg_sleep(30)")
        assert session.rows("select 1 as one") == [{"one": 1}]


def test_a_comparison_reads_one_snapshot(server: PostgresServer, reader: PostgresSession) -> None:
    """What is written meanwhile is seen by the next comparison and not by this one."""
    reader.rest()
    relation = put(server, "legacy", "select 1 as id")
    count = f"select count(*) as n from {relation.schema}.{relation.table}"  # noqa: S608 - fixed

    assert reader.rows(count) == [{"n": 1}]
    server.run("insert into legacy.t values (2)", database=DATABASE)
    assert reader.rows(count) == [{"n": 1}]
    reader.rest()
    assert reader.rows(count) == [{"n": 2}]


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            'connection to server at "db.internal" (10.1.2.3), port 5433 failed: Connection refused\n\tIs the server',
            "Connection refused",
        ),
        (
            'connection to server at "::1", port 5432 failed: FATAL:  password authentication failed for user "ada"',
            "FATAL:  password authentication failed for user …",
        ),
        (
            'connection to server at "h", port 1 failed: FATAL:  no pg_hba.conf entry for host "10.1.2.3", user "u"',
            "FATAL:  no pg_hba.conf entry for host …, user …",
        ),
        (
            'could not translate host name "db.internal" to address: Name or service not known',
            "the name of the server is not known here",
        ),
        ("server at 10.1.2.3 closed the connection", "server at … closed the connection"),
        ("", "the connection failed"),
    ],
)
def test_a_failed_connection_names_no_address(message: str, shown: str) -> None:
    """The reason is said; the server, the port, the database and the user are not."""
    assert without_address(message) == shown


def test_a_server_that_is_not_there(server: PostgresServer) -> None:
    """The message has neither the socket nor the password in it."""
    away = server.credentials(DATABASE, host="127.0.0.1", port=1, password="hunter2", retries=0)  # noqa: S106 - none

    with pytest.raises(StatementFailed) as failed, PostgresSession(away):
        pass
    assert "Connection refused" in str(failed.value)
    for secret in ("127.0.0.1", "hunter2", "port 1"):
        assert secret not in str(failed.value)


def test_two_databases_are_refused(server: PostgresServer) -> None:
    """A session sees one database: a side in another one is an error, by the names of both."""

    def table(database: str) -> TargetTable:
        credentials = server.credentials(database)
        where, said = PostgresWarehouse().server(credentials, Path())
        found = TargetTable("postgres", Relation(database, "legacy", "t"), where, credentials, said)
        assert server.socket_dir not in repr(found)
        return found

    with (
        Readers() as readers,
        pytest.raises(
            BadPlace, match="it is in PostgreSQL database 'parity', and not PostgreSQL database 'reading'"
        ),
        readers.of(table(DATABASE), table("parity"), 1),
    ):
        pass


def test_compare_with_a_file(server: PostgresServer, tmp_path: Path) -> None:
    """`parity compare --spec` on relations of a dbt project's targets: what differs is counted, with exit code 3, and
    what is masked is not shown."""
    rows = "select g as id, {} as fare, 'secret' || {} as note from generate_series(1, 9) g"
    put(server, "legacy", rows.format("g * 1.5", "g"))
    put(server, "candidate", rows.format("case g when 4 then 0 else g * 1.50 end", "g % 5"))
    project = tmp_path / "dbt"
    project.mkdir()
    (project / "dbt_project.yml").write_text("name: own\nversion: '1'\nprofile: own\n")
    outputs = {side: server.profile(side, DATABASE) for side in ("legacy", "candidate")}
    (project / "profiles.yml").write_text(yaml.safe_dump({"own": {"target": "legacy", "outputs": outputs}}))
    sides = {side: {"target": side, "schema": side, "table": "t"} for side in ("legacy", "candidate")}
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        yaml.safe_dump({"comparisons": [{"name": "t", **sides, "key": ["id"], "masked": ["note"]}]})
    )

    outcome = CliRunner().invoke(
        app, ["compare", "--spec", str(spec), "--dbt-project", str(project), "--json"]
    )

    [check] = json.loads(outcome.stdout)
    assert (outcome.exit_code, check["verdict"], check["rows"]) == (
        3,
        "mismatch",
        {"legacy": 9, "candidate": 9},
    )
    assert check["differing_columns"] == ["fare", "note"]
    assert "secret" not in outcome.stdout


def test_a_candidate_begins_with_legacys_past(server: PostgresServer) -> None:
    """The rows before the window are copied, once, and a window before them is known to be a copy."""
    days = "generate_series(timestamp '2024-03-01', '2024-03-10', '1 day') day"
    legacy = put(server, "legacy", f"select day::date from {days}")  # noqa: S608 - fixed
    candidate = Relation(DATABASE, "begun", "t")

    with PostgresSession(server.credentials(DATABASE), writes=True) as session:
        for lower in ("2024-03-05", "2024-03-08"):
            begin_with_legacy(session, legacy, candidate, "day", lower)
        copied = session.rows("select count(*) as n, max(day)::text as last from begun.t")
        session.rest()
        earlier, own = (
            holds_copy_of(session, candidate, lower, None) for lower in ("2024-03-04", "2024-03-05")
        )

    assert copied == [{"n": 4, "last": "2024-03-04"}]
    assert "rows before 2024-03-05" in earlier
    assert own == ""


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            {"dbname": "parity"},
            "in PostgreSQL database 'reading', and 'candidate' in PostgreSQL database 'parity'",
        ),
        (
            {"host": "db.internal"},
            "database 'reading', and 'candidate' in one of the same name on another server",
        ),
    ],
)
def test_a_candidate_cannot_read_another_database(
    server: PostgresServer, tmp_path: Path, other: dict[str, str], message: str
) -> None:
    """Targets in two databases, or on two servers, are refused before anything is read; no address is said."""
    (tmp_path / "dbt_project.yml").write_text("name: own\nversion: '1'\nprofile: own\n")
    outputs = {side: server.profile(side, DATABASE) for side in ("legacy", "candidate")}
    outputs["candidate"] |= other
    (tmp_path / "profiles.yml").write_text(yaml.safe_dump({"own": {"target": "legacy", "outputs": outputs}}))
    legacy, candidate = (DbtWorkspace(tmp_path, side) for side in ("legacy", "candidate"))
    start = CandidateStart("daily.dbt", legacy, candidate, frozenset(), (), (), lambda _: None)

    with pytest.raises(LegacyOutOfReach) as refused:
        start._refuse_another_warehouse(["model.own.a"], {"postgres"})
    assert message in str(refused.value)
    assert "db.internal" not in str(refused.value)
    assert server.socket_dir not in str(refused.value)
