"""Every shape of a dbt call that real estates are known to have, and what is read from it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.inventory_samples import POD, PYTHON, bash, document, read, report, sampled, task

ECS = "airflow.providers.amazon.aws.operators.ecs.EcsRunTaskOperator"
DOCKER = "airflow.providers.docker.operators.docker.DockerOperator"
SSH = "airflow.providers.ssh.operators.ssh.SSHOperator"
COSMOS = "cosmos.operators.local.DbtBuildLocalOperator"

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
        ("dbt --version && dbt run -s a && dbt docs generate", ["dbt-run"], [None, "a", None]),
        ("python3 -u -m dbt.cli.main run -s a", ["dbt-run"], ["a"]),
        ("uv tool run dbt run -s a", ["dbt-run"], ["a"]),
        ("uvx --from dbt-core dbt run -s a", ["dbt-run"], ["a"]),
        ("pipx run dbt run -s a", ["dbt-run"], ["a"]),
        ("conda run -n env --no-capture-output dbt run -s a", ["dbt-run"], ["a"]),
        ("gosu dbt dbt run -s a", ["dbt-run"], ["a"]),
        ("runuser -u dbt -- dbt run -s a", ["dbt-run"], ["a"]),
        ("su - dbt -c 'dbt run -s a'", ["dbt-run"], ["a"]),
        ("docker run --rm -v /x:/y img dbt run -s a", ["dbt-run"], ["a"]),
        ("docker run --rm img bash -c 'dbt run -s a'", ["dbt-run"], ["a"]),
        ("docker run --rm --entrypoint dbt img run -s a", ["dbt-run"], ["a"]),
        ("docker run ghcr.io/dbt-labs/dbt-postgres:1.9 run -s a", ["dbt-run"], ["a"]),
        ("docker compose -f x.yml run --rm worker dbt run -s a", ["dbt-run"], ["a"]),
        ("kubectl exec -n ns pod -c dbt -- bash -c 'dbt run -s a'", ["dbt-run"], ["a"]),
        ("for m in {a,b}; do dbt run -s $m; done", ["dbt-run"], ["a", "b"]),
        ("dbt run -s x{a,b}", ["dbt-run"], ["xa xb"]),
        ('M=(a "b c"); M+=(d); for m in "${M[@]}"; do dbt run -s "$m"; done', ["dbt-run"], ["a", "b c", "d"]),
        ('A=(-s a --threads 4); dbt run "${A[@]}"', ["dbt-run"], ["a"]),
        ("cat <<EOF | bash\ndbt run -s a\nEOF", ["dbt-run"], ["a"]),
        ("cat <<EOF > vars.yml && dbt run -s a\nx: 1\nEOF", ["dbt-run"], ["a"]),
        ("cd /app && bash -e <<EOF | tee log\ndbt run -s a\nEOF", ["dbt-run"], ["a"]),
        ("echo 'dbt run -s a' | sh", ["dbt-run"], ["a"]),
        ("cd /app && dbt run -s a 2>&1 | tee log", ["dbt-run"], ["a"]),
        ("{% for m in ['a', 'b'] %}dbt run -s {{ m }}; {% endfor %}", ["dbt-run"], ["a", "b"]),
        ("{% set m = 'a' %}dbt run -s {{ m }}", ["dbt-run"], ["a"]),
        ("echo dbt run; pip install dbt-core; ls dbt", ["non-dbt"], []),
        ("docker run --rm alpine cat x", ["non-dbt"], []),
        ("aws s3 sync s3://a b && psql -c 'select 1'", ["non-dbt"], []),
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
            DOCKER,
            {"command": f"dbt run -s a --vars {DAY}"},
        ),
        (DOCKER, {"entrypoint": "dbt", "command": ARGS}),
        (
            ECS,
            {"overrides": {"containerOverrides": [{"name": "dbt", "command": ["dbt", *ARGS]}]}},
        ),
        (
            "airflow.providers.google.cloud.operators.cloud_run.CloudRunExecuteJobOperator",
            {"overrides": {"container_overrides": [{"args": ["dbt", *ARGS]}]}},
        ),
        (
            SSH,
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


def test_arguments_that_are_no_templates() -> None:
    """Docker's entry point and a pod's whole specification are arguments beside the templated fields."""
    run = read({"command": ["run", "-s", "a"]}, operator=DOCKER, settings={"entrypoint": ["dbt", "--quiet"]})
    assert run.invocations[0].as_json()["select"] == "a"
    container = {"name": "base", "command": ["dbt"], "args": ["run", "-s", "a"]}
    settings = {"full_pod_spec": {"__class__": "V1Pod", "spec": {"containers": [container]}}}
    pod = read({"cmds": [], "arguments": [], "env_vars": []}, operator=POD, settings=settings)
    assert pod.invocations[0].as_json()["select"] == "a"


def test_environment_of_a_remote_shell() -> None:
    """SSHOperator's environment reaches dbt as BashOperator's does."""
    unit = read({"command": "dbt run -s a", "environment": {"DAY": "{{ ds }}"}}, operator=SSH)
    assert dict(unit.invocations[0].env) == {"DAY": "{{ ds }}"}


def test_cosmos_refresh_from_params_and_flags() -> None:
    """A refresh that a person may ask for is a branch of a known call; extra flags are dbt's."""
    flags = ["--event-time-start", "{{ ds }}", "--event-time-end", "{{ tomorrow_ds }}"]
    fields = {"select": "a", "full_refresh": "{{ params.full }}", "dbt_cmd_flags": flags}
    unit = read(fields, operator=COSMOS, params={"full": False})
    assert unit.determined, unit.reason
    assert unit.kind.value == "dbt-build"
    assert unit.window.convention.value == "event-time"
    assert [warning.code.value for warning in unit.warnings] == ["full-refresh-on-branch"]


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
        (POD, {"image": "team/dbt-daily:1"}, None, "image team/dbt-daily:1"),
        (POD, {"name": "x", "pod_template_file": "/etc/pods/dbt.yaml"}, None, "pod_template_file"),
        (ECS, {"task_definition": "dbt-daily", "overrides": {}}, None, "task_definition dbt-daily"),
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
        ("ssh host <<'X'\ndbt run -s a\nX", {}),
        ("printf 'dbt run' | sh", {}),
        ("python - <<'X'\ndbtRunner().invoke(['run'])\nX", {}),
        ("echo a b | xargs dbt run -s", {}),
        ("docker run --rm img run -s a", {}),
        ("docker run team/dbt:1", {}),
        ("$(which dbt) run -s a", {}),
        ("make dbt-run", {}),
        ("dbt retry", {}),
        ("dbt clone --state prod", {}),
    ],
)
def test_commands_from_params_and_scripts(command: str, params: dict[str, str]) -> None:
    """A command that a person may choose, or that lies in another file, is opaque even if it renders."""
    unit = bash(command, params=params)
    assert unit.kind.value == "opaque"
    assert (unit.determined, unit.selection_determined, unit.window_determined) == (False, False, False)
    assert unit.reason


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (
            "{% if params.x == 'b' %}dbt run -s b{% else %}dbt run -s a{% endif %}",
            "who triggers a run decides it",
        ),
        ("{% for m in params.models %}dbt run -s {{ m }}; {% endfor %}", "who triggers a run decides it"),
        ("{% if ds.endswith('-15') %}dbt run -s b{% else %}dbt run -s a{% endif %}", "the window decides"),
        ("if [ {{ ds_nodash }} = 20240415 ]; then dbt run -s b; else dbt run -s a; fi", "no sampled window"),
        ("case {{ ds }} in 2023*) dbt run -s b;; *) dbt run -s a;; esac", "no sampled window"),
    ],
)
def test_branches_that_no_sampled_window_takes(command: str, why: str) -> None:
    """What runs on a branch that the window or a person decides is not guessed from the samples."""
    unit = bash(command, params={"x": "a", "models": ["a", "b"]})
    assert unit.kind.value == "dbt-run"
    assert (unit.determined, unit.selection_determined, unit.window_determined) == (False, False, False)
    assert why in unit.reason


def test_environment_of_a_container_on_the_command_line() -> None:
    """What `docker run -e` hands over is the call's environment, and may be its window."""
    unit = bash("docker run -e START={{ ds }} --env=END={{ tomorrow_ds }} img dbt run -s a")
    assert dict(unit.invocations[0].env) == {"START": "{{ ds }}", "END": "{{ tomorrow_ds }}"}
    assert unit.window.convention.value == "env-only"


@pytest.mark.parametrize(
    "needs", ["a valid template", "a template that renders", "the template file run.sql"]
)
def test_templates_that_airflow_cannot_render(needs: str) -> None:
    """A field that Airflow fails to render is undetermined, whatever its raw text says."""
    fields = {"bash_command": "dbt run -s a --vars '{start: {{ ds | nope }}}'"}
    undetermined = [{"field": "bash_command", "needs": needs, "reason": "line 1: No filter named 'nope'."}]
    sample = {**sampled({})[0], "fields": {}, "undetermined": undetermined}
    unit = report(document(task(fields, samples=[sample]))).units[0]
    assert (unit.determined, unit.selection_determined, unit.window_determined) == (False, False, False)
    assert unit.reason.startswith("Airflow cannot render bash_command: line 1: No filter")


def test_a_value_that_asks_the_clock() -> None:
    """A rendered value that Airflow's side says is the clock's is no window."""
    fields = {"bash_command": "dbt run --vars '{start: {{ macros.datetime.now() }}}'"}
    undetermined = [
        {"field": "bash_command", "needs": "macros.datetime.now", "reason": "depends on the clock"}
    ]
    rendered = {"bash_command": "dbt run --vars '{start: 2025-01-01}'"}
    sample = {**sampled({})[0], "fields": rendered, "undetermined": undetermined}
    unit = report(document(task(fields, samples=[sample]))).units[0]
    assert (unit.window.convention.value, unit.window_determined) == ("undetermined", False)
    assert unit.reason == "macros.datetime.now: depends on the clock"


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
