"""Texts of several statements, taken apart as Airflow's hooks do it."""

from __future__ import annotations

import sqlparse


def split(text: str) -> list[str]:
    """As `DbApiHook.split_sql_string`: without comments, and with the semicolons."""
    return [each for each in sqlparse.split(sqlparse.format(text, strip_comments=True)) if each]
