"""Runs a fakesnow server for dbt, until it is interrupted. Writes its port to stdout when it answers.

Started as a process of its own: `python fakesnow_server.py`. Seven things that are sent and fakesnow
0.12 cannot do are changed on the way in, for tests only:

* TEMPORARY tables and views become plain ones: fakesnow shows them to nobody, so dbt cannot find them again;
* a snapshot's MERGE runs outside of dbt's transaction, and the values that it inserts get the name of their table:
  fakesnow makes several statements of it, some of them in a database of its own, from both tables joined;
* `COLLATE(…, 'utf8')`, Snowflake's binary collation, is dropped: DuckDB has no such name, and compares text so anyway;
* `BITXORAGG` of hashes is answered as text: DuckDB's hashes have no sign, and fakesnow's answers no room for them;
* `AT (TIMESTAMP => …)`, Snowflake's time travel, is dropped: fakesnow keeps no past, so what is read is the present;
* `alter session` is passed over: fakesnow has none of the parameters;
* whatever DuckDB throws becomes an SQL error, after a rollback. Fakesnow answers it with status 500, which
  the Snowflake connector takes for a hiccup of the network and retries for ever.
"""

from __future__ import annotations

import logging
import re
import signal
import sys
import threading
from typing import Any

import duckdb
import fakesnow
import snowflake.connector.errors
import sqlglot
from fakesnow.cursor import FakeSnowflakeCursor
from sqlglot import exp

_TEMPORARY = re.compile(r"\bcreate(\s+or\s+replace)?\s+temp(?:orary)?\s+(table|view)\b", re.IGNORECASE)
_MERGE = re.compile(r"\bmerge\s+into\b", re.IGNORECASE)
_ALTER_SESSION = re.compile(r"\s*alter\s+session\b", re.IGNORECASE)
_BINARY = re.compile(r"""COLLATE\(("(?:[^"]|"")+"), 'utf8'\)""")
_XOR = re.compile(r"""BITXORAGG\("\w+"\)""")
_TIME_TRAVEL = re.compile(r"\bAT \(TIMESTAMP => CAST\('[^']+' AS TIMESTAMPTZ\)\)")
_SQL_ERROR = 2043


def qualified_merge(command: str) -> str:
    """The MERGE with its inserted values qualified; any other command as it is."""
    merge = sqlglot.parse_one(command, read="snowflake")
    if not isinstance(merge, exp.Merge):
        return command
    for insert in merge.find_all(exp.Insert):
        for column in insert.expression.find_all(exp.Column):
            if not column.table:
                column.set("table", exp.to_identifier(merge.args["using"].alias))
    return merge.sql(dialect="snowflake")


def teach_fakesnow() -> None:
    """Applies the changes to fakesnow's cursor, in this process."""
    execute = FakeSnowflakeCursor.execute

    def execute_or_roll_back(self: Any, command: str, *args: Any, **kwargs: Any) -> Any:
        try:
            if _ALTER_SESSION.match(command):
                return execute(self, "select 'passed over' as status")
            if _MERGE.search(command):
                execute(self, "commit")
                merged = execute(self, qualified_merge(command), *args, **kwargs)
                execute(self, "begin")
                return merged
            command = _TIME_TRAVEL.sub("", command)
            command = _BINARY.sub(r"\1", _TEMPORARY.sub(r"create\1 \2", command, count=1))
            return execute(self, _XOR.sub(r"CAST(\g<0> AS VARCHAR)", command), *args, **kwargs)
        except duckdb.Error as error:
            self._conn.rollback()
            raise snowflake.connector.errors.ProgrammingError(
                msg=str(error), errno=_SQL_ERROR, sqlstate="42000"
            ) from error

    FakeSnowflakeCursor.execute = execute_or_roll_back


def main() -> None:
    teach_fakesnow()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with fakesnow.server() as address:
        sys.stdout.write(f"{address['port']}\n")
        sys.stdout.flush()
        # A line for each request, into a pipe that nobody reads: when it is full, the server stands still.
        logging.getLogger("uvicorn.access").disabled = True
        stop.wait()


if __name__ == "__main__":
    main()
