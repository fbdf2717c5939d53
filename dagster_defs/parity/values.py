"""The value of a column as SQL, brought to one type for both sides so that equal values are equal in SQL.

The comparison's rules define equality: by value across types, NULL = NULL, NaN = NaN, -0.0 = 0.0.
"""

from __future__ import annotations

from sqlglot import exp

from dagster_defs.parity.dialects import sql_of
from dagster_defs.parity.families import ColumnType
from dagster_defs.parity.fragments import column
from dagster_defs.parity.records import Dialect


def paired_values(
    legacy: tuple[str, ColumnType], candidate: tuple[str, ColumnType], dialect: Dialect
) -> tuple[exp.Expr, exp.Expr]:
    """The two columns (name and type) as expressions of one type whose values are equal if and only if ours are.

    Equal values are equal to `is not distinct from`, to `group by` and to the hash; different values are different at
    least to the first two.
    """
    (left, left_type), (right, right_type) = legacy, candidate
    sql = sql_of(dialect)
    return (
        sql.value(column(left), left_type, right_type),
        sql.value(column(right), right_type, left_type),
    )
