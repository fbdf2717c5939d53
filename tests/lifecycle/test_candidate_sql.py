"""A candidate's SQL writes nothing but its own tables, or it is refused."""

from __future__ import annotations

import pytest
from sqlglot import exp, parse

from dagster_defs.errors import NotProvedSafe
from dagster_defs.lifecycle.candidate_sql import Home, Places, makes, redirected, written_tables

DATABASE = exp.to_identifier("shop", quoted=True)
PLACES = Places(
    "postgres",
    Home(DATABASE, exp.to_identifier("legacy", quoted=True)),
    Home(DATABASE, exp.to_identifier("cand", quoted=True)),
    [
        ('"shop"."legacy".own', '"shop"."cand".own'),
        ('"shop".sales.orders', '"shop"."cand".orders_candidate'),
    ],
)
OWN, SRC, UPPER = '"shop"."cand".own', '"shop"."legacy".src', "DEV.CAND.OWN"


def named(sql: str) -> str:
    return sql.format(OWN=OWN, SRC=SRC, UPPER=UPPER)


@pytest.mark.parametrize(
    ("sql", "made"),
    [
        ("insert into own select * from src", "INSERT INTO {OWN} SELECT * FROM {SRC}"),
        ("insert into OWN values (1)", "INSERT INTO {OWN} VALUES (1)"),
        ("insert into own select max(id) from own", "INSERT INTO {OWN} SELECT MAX(id) FROM {OWN}"),
        (
            "with own as (select * from own) delete from own where own.id = 1",
            "WITH own AS (SELECT * FROM {OWN}) DELETE FROM {OWN} WHERE own.id = 1",
        ),
        (
            "with a as (select 1), b as (select * from a) insert into own select * from b, c",
            'WITH a AS (SELECT 1), b AS (SELECT * FROM a) INSERT INTO {OWN} SELECT * FROM b, "shop"."legacy".c',
        ),
        (
            "with recursive r as (select 1 union all select * from r) insert into own select * from r",
            "WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT * FROM r) INSERT INTO {OWN} SELECT * FROM r",
        ),
        (
            "update own set a = s.a from src s where s.id = own.id",
            "UPDATE {OWN} SET a = s.a FROM {SRC} AS s WHERE s.id = own.id",
        ),
        ("begin; delete from own; commit", "DELETE FROM {OWN}"),
        (
            "create temp table t as select * from t; insert into own select * from t",
            'CREATE TEMPORARY TABLE t AS SELECT * FROM "shop"."legacy".t;\nINSERT INTO {OWN} SELECT * FROM t',
        ),
        (
            "insert into sales.orders select orders.id from sales.orders",
            'INSERT INTO "shop"."cand".orders_candidate SELECT orders.id FROM "shop"."cand".orders_candidate AS orders',
        ),
        ("create schema if not exists sales; truncate own", "TRUNCATE TABLE {OWN}"),
        ("create table own as select 1 /* a; delete from src */", "CREATE TABLE {OWN} AS SELECT 1"),
        ("create index i on own (id)", "CREATE INDEX i ON {OWN}(id)"),
        ("alter table own add column a int", "ALTER TABLE {OWN} ADD COLUMN a INT"),
    ],
)
def test_writes_go_to_the_candidate_and_reads_to_legacy(sql: str, made: str) -> None:
    """What the unit writes is the candidate's wherever it stands, and anything else is legacy's."""
    assert redirected([sql], PLACES) == [named(made)]


def test_placeholders_are_the_drivers() -> None:
    """What the driver binds is as it was."""
    sql = "insert into own values (%(day)s, '50%%', %s)"

    assert redirected([sql], PLACES, bound=True) == [named("INSERT INTO {OWN} VALUES (%(day)s, '50%%', %s)")]


ATTACKS = """
insert into src values (1)
insert into legacy.src values (1)
insert into "OWN" values (1)
insert into own values (1); delete from src
select 1; drop table src
delete from only src
update src set a = 1 from own
merge into src using own on src.id = own.id when matched then delete
with d as (delete from src returning *) insert into own select * from d
with d as (delete from src returning *) select * from d
with src as (select 1) insert into src select 1
with src as (select 1) delete from src
select 1 into src
create table src as select 1
create or replace view src as select * from own
create table own partition of src default
create table own () inherits (src)
create table own (like src including all)
create table own (like src including defaults)
create table own (id int references src (id))
create table own (id int, foreign key (id) references src (id))
create table own (id int default nextval('legacy.s'))
create index i on src (id)
create index concurrently i on own (id)
create schema sales
create sequence s
create function f() returns void as $$ delete from src $$ language sql
create trigger t after insert on own execute function f()
create rule r as on insert to own do also delete from src
create materialized view src as select 1
refresh materialized view src
drop table own cascade
drop schema sales cascade
drop table own, src
drop view src
truncate own, src
truncate own cascade
alter table own rename to src
alter table src rename to own
alter table own set schema legacy
alter table src attach partition own default
alter table own add constraint f foreign key (id) references src (id)
alter table own drop column id cascade
alter table own owner to somebody
create temp table t as select 1; drop table t; insert into t values (1)
create temp table own as with d as (delete from src returning *) select * from d
create temp table legacy.t as select 1
select * from src for update
lock table src
copy own from '/tmp/x'
copy src to '/tmp/x'
call load()
do $$ begin delete from src; end $$
execute p
prepare p as delete from src
explain analyze delete from src
set search_path to legacy
set role owner
reset search_path
rollback
savepoint s
vacuum src
analyze src
comment on table src is 'x'
grant all on own to somebody
notify x
discard all
select load()
select legacy.load()
select legacy.now()
select * from legacy.now()
select * from load()
select nextval('s')
select setval('s', 1)
select set_config('search_path', 'legacy', false)
select query_to_xml('delete from src', true, true, '')
select dblink_exec('delete from src')
select lo_unlink(1)
select pg_terminate_backend(1)
select 1 operator(legacy.+) 2
insert into own select load()
insert into own values ((select load()))
insert into own select 1 on conflict (id) do update set a = load()
delete from own where id in (select load())
insert into own select 1 from src, lateral load()
merge into own using src on own.id = src.id when matched then update set a = load()
insert into own values (1) returning load()
insert into sales.orders values (1) on conflict (id) do update set id = orders.id
insert into own select 'a\\'; delete from src; --'
insert into own values (1
create temp view v as select * from src; delete from v; insert into own select 1
create or replace view own as select * from src; delete from own
create view own as select * from src; insert into own values (1)
create temporary view V as select * from src; update v set a = 1
create or replace view own as select * from src; truncate own
create view own as select * from src; merge into own using src on own.id = src.id when matched then delete
"""


@pytest.mark.parametrize("sql", ATTACKS.strip().splitlines())
def test_what_may_write_to_legacy_is_refused(sql: str) -> None:
    """Whatever is not proved to stay in the candidate's tables is refused with its reason."""
    with pytest.raises(
        NotProvedSafe, match=r"it is not certain that its candidate stays out of legacy's tables"
    ):
        redirected([sql.replace("\\\\", "\\")], PLACES)


SNOWFLAKE = Places(
    "snowflake",
    Home(exp.to_identifier("PROD"), exp.to_identifier("LEGACY")),
    Home(exp.to_identifier("DEV"), exp.to_identifier("CAND")),
    [("PROD.LEGACY.OWN", "DEV.CAND.OWN")],
)
SNOWFLAKE_ATTACKS = """
copy into own from @stage
copy into src from @stage
put file:///x @stage
remove @stage
insert all into own values (1) into src values (1) select 1
insert into identifier('src') select 1
insert into identifier($t) select 1
insert into table(src) select 1
insert overwrite into src select 1
select * from table(load())
select seq.nextval
insert into own select seq.nextval
execute immediate 'delete from src'
execute task t
begin delete from src; end
create or replace table src clone own
create or replace transient table src as select 1
create stream s on table src
create task t as delete from src
alter table own swap with src
alter session set query_tag = 'x'
use schema legacy
use role admin
undrop table src
call load()
truncate table if exists src
insert into "own" select 1
insert into dev.legacy.own select 1
select system$cancel_query('x')
delete from src using own where src.id = own.id
create or replace procedure p() returns int language sql as 'delete from src'
"""


@pytest.mark.parametrize("sql", SNOWFLAKE_ATTACKS.strip().splitlines())
def test_what_may_write_to_legacy_on_snowflake_is_refused(sql: str) -> None:
    """Snowflake's own ways to write are refused too."""
    with pytest.raises(NotProvedSafe):
        redirected([sql], SNOWFLAKE)


@pytest.mark.parametrize(
    ("sql", "made"),
    [
        ("insert overwrite into Own select * from src", "INSERT OVERWRITE INTO {UPPER} SELECT * FROM PROD.LEGACY.src"),
        ("create or replace table own clone src", "CREATE OR REPLACE TABLE {UPPER} CLONE PROD.LEGACY.src"),
        (
            "merge into own using other.x on own.id = x.id when not matched then insert (id) values (x.id)",
            "MERGE INTO {UPPER} USING PROD.other.x ON own.id = x.id WHEN NOT MATCHED THEN INSERT (id) VALUES (x.id)",
        ),
    ],
)  # fmt: skip
def test_snowflake(sql: str, made: str) -> None:
    """Unquoted names are in upper case there, and databases differ."""
    assert redirected([sql], SNOWFLAKE) == [named(made)]


def test_legacys_database_may_have_another_name_in_the_session() -> None:
    """On DuckDB both files may have the same name, and data files stay what they are."""
    same = exp.to_identifier("w", quoted=True)
    homes = (
        Home(same, exp.to_identifier("main", quoted=True)),
        Home(same, exp.to_identifier("main", quoted=True)),
    )
    places = Places(
        "duckdb",
        *homes,
        [('"w"."main".own', '"w"."main".own')],
        exp.to_identifier("parity_legacy", quoted=True),
    )

    [made] = redirected(["insert into own select * from src, 'x.parquet', read_csv('y.csv')"], places)

    assert made.startswith('INSERT INTO "w"."main".own SELECT * FROM "parity_legacy"."main".src, "x.parquet"')
    probe, make = places.emptied('"w"."main".own', '"w"."main".own')
    assert probe == 'SELECT * FROM "parity_legacy"."main".own WHERE FALSE'
    assert make.startswith('CREATE TABLE IF NOT EXISTS "w"."main".own AS SELECT')
    for attack in ("attach 'x' as y", "copy own to 'x.csv'", "install x", "load x", "export database 'x'", "use x",
                   "pragma x", "detach w", "insert into parity_legacy.main.own select 1", "checkpoint"):  # fmt: skip
        with pytest.raises(NotProvedSafe):
            redirected([attack], places)


def test_a_temporary_tables_query_is_redirected_once() -> None:
    """What it reads of the unit's own is the candidate's, although legacy's database has another name there."""
    same = exp.to_identifier("w", quoted=True)
    theirs, own = (Home(same, exp.to_identifier(schema, quoted=True)) for schema in ("main", "cand"))
    tables = [('"w"."main".own', '"w"."cand".own')]
    places = Places("duckdb", theirs, own, tables, exp.to_identifier("legacy", quoted=True))

    made = redirected(
        ["create temp table x as select * from own, src; insert into own select * from x"], places
    )

    assert made == [
        'CREATE TEMPORARY TABLE x AS SELECT * FROM "w"."cand".own, "legacy"."main".src;\n'
        'INSERT INTO "w"."cand".own SELECT * FROM x'
    ]


def test_every_write_of_a_result_is_the_candidates() -> None:
    """A second look at what is made finds no other table, whatever way it is looked for."""
    texts = [
        "delete from own; insert into own select * from src; with x as (select 1) insert into sales.orders select 1"
    ]

    for text in redirected(texts, PLACES):
        for statement in parse(text, dialect="postgres"):
            assert statement is not None
            assert statement.this.sql(dialect="postgres").startswith('"shop"."cand".')


def test_what_a_candidate_could_not_run_names_no_tables() -> None:
    """The scaffold asks for the same proof as the unit that it would write."""
    with pytest.raises(NotProvedSafe, match="it writes into the view v"):
        written_tables(["create view v as select * from a", "insert into v select 1"], "postgres")


def test_the_written_tables_are_named() -> None:
    """As the SQL names them, without temporary ones; a scaffold declares them."""
    texts = [
        "create schema if not exists a",
        "create temp table t as select 1",
        "insert into t select 2",
        "insert into a.b select * from t where day = %(day)s; delete from c",
        "drop table t; insert into t select 3",
        "alter table c rename to d",
    ]

    assert [table.sql() for table in written_tables(texts, "postgres")] == ["a.b", "c", "t", "d"]
    assert makes(["create table own as select 1"], '"shop"."legacy".own', PLACES)
    assert not makes(["insert into own select 1"], '"shop"."legacy".own', PLACES)
