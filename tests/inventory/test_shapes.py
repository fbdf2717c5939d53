"""Every shape of a dbt call that real estates are known to have, and what is read from it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.inventory.samples import POD, PYTHON, bash, document, read, report, sampled, task

DAY = """'{"start": "{{ ds }}", "end": "{{ macros.ds_add(ds, 1) }}"}'"""
BOUNDS = {"start": "{{ ds }}", "end": "{{ macros.ds_add(ds, 1) }}"}


@pytest.mark.parametrize(
    ("command", "kinds", "selects"),
    [
        ("dbt run", ["dbt-run"], [None]),
        ("dbt run -s orders+", ["dbt-run"], ["orders+"]),
        ("dbt run -m orders", ["dbt-run"], ["orders"]),
        ("dbt run --models a b", ["dbt-run"], ["a b"]),
        ("dbt run --select a,tag:x b --exclude c", ["dbt-run"], ["a,tag:x b"]),
        ("dbt run --select a --select b", ["dbt-run"], ["a b"]),
        ("dbt run --select 'a b'", ["dbt-run"], ["a b"]),
        ("dbt --no-use-colors --log-format json build -s a", ["dbt-build"], ["a"]),
        ("/opt/venv/bin/dbt run -s path:models/x", ["dbt-run"], ["path:models/x"]),
        ("python -m dbt.cli.main run -s a", ["dbt-run"], ["a"]),
        ("cd /app && dbt run -s a", ["dbt-run"], ["a"]),
        ("cd /app; source venv/bin/activate; dbt run -s a", ["dbt-run"], ["a"]),
        ("dbt deps && dbt seed && dbt run -s a && (dbt test -s a || true)",
         ["dbt-deps", "dbt-seed", "dbt-run", "dbt-test"], [None, None, "a", "a"]),
        ("FOO=1 dbt run -s a", ["dbt-run"], ["a"]),
        ("env FOO=1 poetry run dbt run -s a", ["dbt-run"], ["a"]),
        ("timeout -k 5 600 dbt run -s a", ["dbt-run"], ["a"]),
        ("bash -c 'dbt run -s a'", ["dbt-run"], ["a"]),
        ("bash -euo pipefail -c 'dbt deps && dbt run -s a | tee log'", ["dbt-deps", "dbt-run"], [None, "a"]),
        ("M='a b'\ndbt run -s $M", ["dbt-run"], ["a b"]),
        ("M='a b'; dbt run -s \"$M\"", ["dbt-run"], ["a b"]),
        ("for m in a b; do dbt run -s $m; done", ["dbt-run"], ["a", "b"]),
        ("run() { dbt run --select \"$1\"; }\nrun a\nrun b", ["dbt-run"], ["a", "b"]),
        ("dbt run \\\n  --select a \\\n  --target prod", ["dbt-run"], ["a"]),
        ("dbt run -s a &> log || { cat log; exit 1; }", ["dbt-run"], ["a"]),
        ("bash <<'EOF'\ndbt run -s a\nEOF", ["dbt-run"], ["a"]),
        ("eval 'dbt run -s a'", ["dbt-run"], ["a"]),
        ("out=$(dbt run -s a)", ["dbt-run"], ["a"]),
        ("dbt source freshness -s source:raw", ["dbt-source-freshness"], ["source:raw"]),
        ("dbt snapshot -s s", ["dbt-snapshot"], ["s"]),
        ("dbt run-operation grant --args '{role: x}'", ["dbt-run-operation"], [None]),
        ("dbt build --selector nightly", ["dbt-build"], [None]),
        ("dbt docs generate", ["non-dbt"], [None]),
        ("echo dbt run; pip install dbt-core; ls dbt", ["non-dbt"], []),
        ("python ingest.py", ["non-dbt"], []),
    ],
)  # fmt: skip
def test_shell_chains(command: str, kinds: list[str], selects: list[str | None]) -> None:
    """Each dbt call of a script is found, once, with its selection as dbt reads it."""
    unit = bash(command)
    assert [kind.value for kind in unit.kinds] == kinds
    assert [invocation.as_json()["select"] for invocation in unit.invocations] == selects
    assert unit.determined, unit.reason


@pytest.mark.parametrize(
    "given",
    [
        DAY,
        "'{start: \"{{ ds }}\", end: \"{{ macros.ds_add(ds, 1) }}\"}'",
        "'{start: {{ ds }}, end: {{ macros.ds_add(ds, 1) }}}'",
        '"{\\"start\\": \\"{{ ds }}\\", \\"end\\": \\"{{ macros.ds_add(ds, 1) }}\\"}"',
        "\"{start: '{{ ds }}', end: '{{ macros.ds_add(ds, 1) }}'}\"",
        "'{start: '\"{{ ds }}\"', end: '\"{{ macros.ds_add(ds, 1) }}\"'}'",
        "\"$(cat <<EOF\nstart: {{ ds }}\nend: {{ macros.ds_add(ds, 1) }}\nEOF\n)\"",
        "$'start: {{ ds }}\\nend: {{ macros.ds_add(ds, 1) }}'",
        "'''{\"start\": \"{{ ds }}\", \"end\": \"{{ macros.ds_add(ds, 1) }}\"}'''",
        "'\nstart: \"{{ ds }}\"\nend: \"{{ macros.ds_add(ds, 1) }}\"\n'",
    ],
)  # fmt: skip
def test_vars_however_they_are_quoted(given: str) -> None:
    """The variables and their template text are the same whatever JSON, YAML and quotes say them."""
    for option in ("--vars ", "--vars="):
        unit = bash(f"dbt run -s a {option}{given}")
        [invocation] = unit.invocations
        assert dict(invocation.vars) == BOUNDS
        assert invocation.as_json()["rendered"][0]["vars"] == {"start": "2024-02-29", "end": "2024-03-01"}
        assert unit.window.convention.value == "half-open"
        assert (unit.window.start, unit.window.end) == (BOUNDS["start"], BOUNDS["end"])


def test_vars_through_shell_variables_and_the_environment() -> None:
    """A template that reaches dbt through the operator's `env` and the shell is still the template."""
    unit = read(
        {
            "bash_command": 'E=$END; dbt run --vars "{start: $START, end: $E}"',
            "env": {"START": "{{ ds }}", "END": "{{ next_ds }}"},
        }
    )
    assert dict(unit.invocations[0].vars) == {"start": "{{ ds }}", "end": "{{ next_ds }}"}
    assert unit.window.carrier is not None
    assert unit.window.carrier.value == "vars"


ARGS = ["run", "--select", "a", "--vars", '{"start": "{{ ds }}", "end": "{{ macros.ds_add(ds, 1) }}"}']


@pytest.mark.parametrize(
    ("operator", "fields"),
    [
        (POD, {"cmds": ["dbt"], "arguments": ARGS}),
        (POD, {"cmds": ["bash", "-cx"], "arguments": [f"dbt run --select a --vars {DAY}"]}),
        (POD, {"cmds": ["/bin/sh", "-c", f"dbt run -s a --vars {DAY}"]}),
        (POD, {"arguments": ["dbt", *ARGS]}),
        (POD, {"image": "ghcr.io/dbt-labs/dbt-snowflake:1.9", "arguments": ARGS}),
        (POD, {"full_pod_spec": {"spec": {"containers": [{"command": ["dbt"], "args": ARGS}]}}}),
        (
            "airflow.providers.docker.operators.docker.DockerOperator",
            {"command": f"dbt run -s a --vars {DAY}"},
        ),
        ("airflow.providers.docker.operators.docker.DockerOperator", {"entrypoint": "dbt", "command": ARGS}),
        (
            "airflow.providers.amazon.aws.operators.ecs.EcsRunTaskOperator",
            {"overrides": {"containerOverrides": [{"name": "dbt", "command": ["dbt", *ARGS]}]}},
        ),
        (
            "airflow.providers.google.cloud.operators.cloud_run.CloudRunExecuteJobOperator",
            {"overrides": {"container_overrides": [{"args": ["dbt", *ARGS]}]}},
        ),
        (
            "airflow.providers.ssh.operators.ssh.SSHOperator",
            {"command": f"cd /app && dbt run -s a --vars {DAY}"},
        ),
        (
            "cosmos.operators.local.DbtRunLocalOperator",
            {"select": ["a"], "vars": {"start": "{{ ds }}", "end": "{{ macros.ds_add(ds, 1) }}"}},
        ),
        ("airflow_dbt.operators.dbt_operator.DbtRunOperator", {"select": "a", "vars": BOUNDS}),
    ],
)
def test_every_operator_says_the_same(operator: str, fields: dict[str, Any]) -> None:
    """Shell text, argument lists and operator fields that mean one call are read as one call."""
    unit = read(fields, operator=operator)
    assert unit.determined, unit.reason
    [invocation] = unit.invocations
    assert invocation.as_json()["select"] == "a"
    assert dict(invocation.vars) == BOUNDS
    assert unit.window.convention.value == "half-open"


@pytest.mark.parametrize(
    "env",
    [
        {"BATCH_START_DATE": "{{ data_interval_start }}", "BATCH_END_DATE": "{{ data_interval_end }}"},
        [
            {"name": "BATCH_START_DATE", "value": "{{ data_interval_start }}"},
            {"name": "BATCH_END_DATE", "value": "{{ data_interval_end }}", "__class__": "V1EnvVar"},
        ],
    ],
)
def test_environment_of_a_pod(env: Any) -> None:
    """A window that reaches dbt through the environment alone is env-only, as mapping or as list."""
    unit = read({"cmds": ["dbt"], "arguments": ["run"], "env_vars": env}, operator=POD)
    assert (unit.window.convention.value, unit.window.carrier) == ("env-only", "env")
    assert unit.window.start == "{{ data_interval_start }}"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("DbtRunLocalOperator", "dbt-run"),
        ("DbtTestKubernetesOperator", "dbt-test"),
        ("DbtSeedDockerOperator", "dbt-seed"),
        ("DbtSnapshotLocalOperator", "dbt-snapshot"),
        ("DbtBuildVirtualenvOperator", "dbt-build"),
        ("DbtRunOperationLocalOperator", "dbt-run-operation"),
        ("DbtSourceLocalOperator", "dbt-source-freshness"),
    ],
)
def test_cosmos(name: str, kind: str) -> None:
    """A Cosmos operator's sub-command is in its class, also where a team derives its own from it."""
    own = read(
        {"models": "orders", "full_refresh": True}, operator="team.Own", bases=[f"cosmos.operators.x.{name}"]
    )
    assert own.kind.value == kind
    assert own.invocations[0].full_refresh is (kind in {"dbt-run", "dbt-seed", "dbt-build"})


HEAD = "def call(**kwargs):\n    import json, subprocess\n    from dbt.cli.main import dbtRunner\n"


@pytest.mark.parametrize(
    "body",
    [
        """
        given = json.dumps({"start": kwargs["ds"], "end": start_of_next})
        dbtRunner().invoke(["run", "-s", "a", "--vars", given])
        """,
        """
        runner = dbtRunner()
        arguments = ["run", "-s", "a"]
        arguments += ["--vars", f'{{"start": "{kwargs["ds"]}", "end": "{start_of_next}"}}']
        result = runner.invoke(arguments)
        """,
        """
        command = ["dbt", "run", "--select", "a"]
        command.append("--vars")
        command.append(json.dumps({"start": kwargs["ds"], "end": start_of_next}))
        subprocess.run(command, check=True)
        """,
        """
        day = kwargs["ds"]
        subprocess.check_call(f"dbt run -s a --vars '{{start: {day}, end: {start_of_next}}}'", shell=True)
        """,
    ],
)
def test_python_callables(body: str) -> None:
    """An argument list that is built in sight is read, and Airflow's context stands in it as templates."""
    import textwrap

    code = (
        HEAD
        + '    start_of_next = kwargs["next_ds"]\n'
        + textwrap.indent(textwrap.dedent(body).strip(), "    ")
    )
    unit = read({"op_kwargs": {}}, operator=PYTHON, source=code)
    assert unit.determined, unit.reason
    [invocation] = unit.invocations
    assert invocation.as_json()["select"] == "a"
    assert dict(invocation.vars) == {"start": "{{ ds }}", "end": "{{ next_ds }}"}
    assert invocation.as_json()["rendered"][0]["vars"] == {"start": "2024-02-29", "end": "2024-03-01"}


def test_bash_decorated() -> None:
    """`@task.bash` returns its script, which is read like any other."""
    operator = "airflow.decorators.bash._BashDecoratedOperator"
    code = (
        "def call(ds, models):\n    return f\"cd /app && dbt run -s {models} --vars 'day: {ds}' || true\"\n"
    )
    unit = read({"op_args": [], "op_kwargs": {"models": "a"}}, operator=operator, source=code)
    assert dict(unit.invocations[0].vars) == {"day": "{{ ds }}"}
    assert unit.masks_failure


def test_mapped_commands() -> None:
    """What expand() is given in sight is read, each on its own; the rest is opaque."""
    fields = {"bash_command": {"__expand__": ["dbt run -s a", "dbt run -s b --vars 'day: {{ ds }}'"]}}
    sample = {"start": "2024-03-01T00:00:00+00:00", "end": "2024-03-02T00:00:00+00:00", "fields": {}}
    unit = report(document(task(fields, samples=[sample], mapped=True))).units[0]
    assert [invocation.as_json()["select"] for invocation in unit.invocations] == ["a", "b"]
    assert unit.invocations[1].as_json()["rendered"][0]["vars"] == {"day": "2024-03-01"}
    hidden = {"bash_command": {"__expand__": {"__xcom__": "list_models", "key": "return_value"}}}
    assert report(document(task(hidden, samples=[sample], mapped=True))).units[0].kind.value == "opaque"


def test_python_arguments_from_op_kwargs() -> None:
    """A parameter that the operator fills is the template that it fills it with."""
    code = 'def call(day, models):\n    subprocess.run(["dbt", "run", "-s", models, "--vars", f"{{day: {day}}}"])\n'
    unit = read({"op_kwargs": {"day": "{{ ds }}", "models": "a"}}, operator=PYTHON, source=code)
    assert dict(unit.invocations[0].vars) == {"day": "{{ ds }}"}
    assert unit.masks_failure  # nobody looks at the return code


@pytest.mark.parametrize(
    ("operator", "fields", "source", "why"),
    [
        ("airflow.providers.dbt.cloud.operators.dbt.DbtCloudRunJobOperator", {"job_id": 4711}, None, "4711"),
        (PYTHON, {}, "def call():\n    run_dbt('orders')\n", "does not show"),
        (PYTHON, {}, "def call():\n    subprocess.run(build_command('dbt'))\n", "build_command"),
        (POD, {"image": "team/thing", "arguments": ["run", "-s", "a"]}, None, "image decides"),
        ("team.operators.DbtThing", {"job": "x"}, None, "not known"),
    ],
)
def test_opaque(operator: str, fields: dict[str, Any], source: str | None, why: str) -> None:
    """What cannot be seen is opaque and says why; nothing is guessed."""
    unit = read(fields, operator=operator, source=source)
    assert unit.kind.value == "opaque"
    assert (unit.determined, unit.selection_determined, unit.window_determined) == (False, False, False)
    assert why in unit.reason
    assert not unit.invocations


@pytest.mark.parametrize(
    ("command", "params"),
    [
        ("{{ params.command }}", {"command": "dbt run -s a"}),
        ("dbt {{ params.command }} -s a", {"command": "run"}),
        ("dbt run {{ params.flags }}", {"flags": "-s a --full-refresh"}),
        ("./dbt.sh {{ ds }}", {}),
        ("bash scripts/run_dbt.sh", {}),
    ],
)
def test_commands_from_params_and_scripts(command: str, params: dict[str, str]) -> None:
    """A command that a person may choose, or that lies in another file, is opaque even if it renders."""
    unit = bash(command, params=params)
    assert unit.kind.value == "opaque"
    assert not unit.determined
    assert unit.reason


@pytest.mark.parametrize(
    "command", ["dbt run -s {{ params.models }}", "dbt run -s $MODELS", "dbt run -s $(cat list)"]
)
def test_selection_that_somebody_else_knows(command: str) -> None:
    """A selection from params, the machine's environment or a program is undetermined and is not resolved."""
    unit = bash(command, params={"models": "a"})
    assert unit.kind.value == "dbt-run"
    assert not unit.selection_determined
    assert not unit.invocations[0].models


def test_one_bad_unit_leaves_the_rest() -> None:
    """A task whose record is broken becomes a row that says so."""
    fields = {"bash_command": "dbt run -s a"}
    good = task(fields, name="good", samples=sampled(fields))
    found = report(document({"task_id": "bad", "operator": 1}, good))
    assert [unit.determined for unit in found.units] == [False, True]
