"""Which environment variables a dbt project reads, and when nobody can tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagster_defs.adapters.dbt.env_vars import ReadVariables

MACRO = """
{% macro audit() %}
  {% if env_var('RUNNER', '') %} insert into audit values ('{{ env_var("RUNNER") }}') {% endif %}
{% endmacro %}
{% test odd(model) %} select {{ env_var('IN_A_TEST', 1) }} {% endtest %}
{% materialization thing, default %}{% do log(env_var('IN_A_MATERIALIZATION', '')) %}{% endmaterialization %}
"""


def reading(tmp_path: Path, **files: str) -> ReadVariables:
    paths = []
    for name, text in files.items():
        stem, _, suffix = name.rpartition("_")
        paths.append(tmp_path / f"{stem}.{suffix}")
        paths[-1].write_text(text)
    return ReadVariables.in_files(paths)


def test_every_call_is_found(tmp_path: Path) -> None:
    """In models, macros, tests, materializations, YAML with quotes of its own, and documentation."""
    found = reading(
        tmp_path,
        model_sql="select '{{ env_var('IN_A_MODEL') }}' -- {{ env_var('IN_A_COMMENT_OF_SQL') }}",
        macro_sql=MACRO,
        schema_yml="a: {path: '{{ env_var(''IN_YAML'') }}', \"{{ env_var('IN_A_KEY') }}\": 1}",
        more_yml="data_tests: [{x: {arguments: {to: \"env_var('WITHOUT_BRACES')\"}}}]",
        text_md="{% docs x %}{{ env_var('IN_DOCS') }}{% enddocs %}",
        snapshot_sql="{% snapshot s %}{{ config(a=env_var('IN_A_SNAPSHOT')) }} select 1{% endsnapshot %}",
        override_sql="select '{{ builtins.env_var('OF_BUILTINS') }}'",
        hook_sql="""{{ config(pre_hook="select '{{ env_var('IN_A_HOOK') }}'") }} select 1""",
        seed_csv="{{ env_var('IN_A_SEED') }}",
    )

    assert found == ReadVariables(
        frozenset(
            {"IN_A_MODEL", "IN_A_COMMENT_OF_SQL", "RUNNER", "IN_A_TEST", "IN_A_MATERIALIZATION", "IN_YAML", "IN_A_KEY",
             "IN_DOCS", "IN_A_SNAPSHOT", "OF_BUILTINS", "IN_A_HOOK", "WITHOUT_BRACES"}
        )
    )  # fmt: skip
    assert found.may_be_read("RUNNER")
    assert not found.may_be_read("EXECUTION_DATE")
    assert not found.may_be_read("IN_A_SEED")


@pytest.mark.parametrize(
    "text",
    [
        "{{ env_var(name) }}",
        "{{ env_var('DATE' ~ suffix) }}",
        "{{ env_var() }}",
        "{{ env_var(5) }}",
        "{{ env_var(*names) }}",
        "{% set read = env_var %}{{ read('DATE') }}",
        "{{ names | map(env_var) }}",
        "{{ context['env_var']('DATE') }}",
        "{{ broken env_var('DATE'",
    ],
)
def test_a_name_that_is_not_written_may_be_any(text: str, tmp_path: Path) -> None:
    """Then nobody knows of a variable that the project does not read it."""
    assert reading(tmp_path, model_sql=text).may_be_read("EXECUTION_DATE")


@pytest.mark.parametrize(
    "text", ["{# {{ env_var(name) }} #}", "{% raw %}{{ env_var(name) }}{% endraw %}", "select 1"]
)
def test_what_is_never_run_reads_nothing(text: str, tmp_path: Path) -> None:
    """Jinja's comments and raw blocks."""
    assert reading(tmp_path, model_sql=text) == ReadVariables(frozenset())


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("import os\ndef model(dbt, session):\n    return os.environ['DATE']\n", True),
        ("from os import getenv as g\n", True),
        ("def model(dbt, session):\n    return dbt.ref('a')\n", False),
        ("import subprocess\nsubprocess.run('echo $DATE', shell=True)\n", True),
    ],
)
def test_a_python_model_may_read_any(text: str, may: bool, tmp_path: Path) -> None:
    """If it can get at the environment at all."""
    assert reading(tmp_path, model_py=text).may_be_read("DATE") is may


def test_what_cannot_be_read_may_read_any(tmp_path: Path) -> None:
    """A file that is not text, or is missing."""
    (tmp_path / "model.sql").write_bytes(b"\xff\xfe")

    assert ReadVariables.in_files([tmp_path / "model.sql"]).any_other
    assert ReadVariables.in_files([tmp_path / "none.sql"]).any_other


@pytest.mark.parametrize("name", ["DBT_TARGET", "DBT_ENV_SECRET_KEY", "dbt_vars"])
def test_dbts_own_are_always_read(name: str, tmp_path: Path) -> None:
    """dbt, its adapters and its plug-ins have options of that name."""
    assert reading(tmp_path, model_sql="select 1").may_be_read(name)
