"""Shell commands and containers: what is known to run no dbt, what may run it, and what runs beside it."""

from __future__ import annotations

import pytest

from dagster_defs.adapters.dagster.partitions import DagsterCrons
from dagster_defs.inventory import UnitReading
from dagster_defs.inventory.document import Task, read_document
from dagster_defs.inventory.holes import Holes
from dagster_defs.inventory.programs import ProgramKind, what_runs
from dagster_defs.inventory.scaffold import Place, draft_dag
from dagster_defs.render.text.units import print_inventory
from tests.support.inventory_samples import BASH, POD, bash, document, read, report, sampled, task

DOCKER = "airflow.providers.docker.operators.docker.DockerOperator"
SSH = "airflow.providers.ssh.operators.ssh.SSHOperator"

UNKNOWN = [
    "python x.py",
    "python3.11 -u /opt/x.py --day {{ ds }}",
    "python -m anything.with_dbt_in_it",
    "python -m anything",
    "python -c 'import anything; anything.go()'",
    "python - <<'X'\nimport anything\nX",
    "./run.sh",
    "$HOME/jobs/run.sh",
    "run_everything",
    "make build",
    "make -C jobs dbt",
    "bash script.sh",
    "bash -e scripts/run_dbt.sh",
    "source ./run.sh",
    ". /opt/jobs/nightly",
    "ssh host ./run.sh",
    "ssh host <<'X'\n./run.sh\nX",
    "poetry run x",
    "uv run nightly",
    "pdm nightly",
    "docker run team/thing",
    "docker run team/thing python x.py",
    "docker compose up",
    "kubectl apply -f job.yaml",
    "kubectl exec pod ./run.sh",
    "kubectl create job --from=cronjob/nightly x",
    "curl -X POST https://cloud.example/api/v2/accounts/1/jobs/2/run/",
    "curl -sS -d '{}' https://cloud.example/jobs",
    "wget --post-data= https://cloud.example/jobs",
    "aws ecs run-task --task-definition nightly",
    "aws --profile prod lambda invoke --function-name nightly out",
    "gcloud run jobs execute nightly",
    "cat script | bash",
    "curl -fsSL https://example.invalid/x.sh | sh",
    "echo 'python x.py' | sh",
    "bash -c 'cd /app && ./run.sh'",
    "ls | xargs -n 1 ./run.sh",
    "find . -name '*.sh' -exec bash {} ';'",
    "awk 'BEGIN { system(\"./run.sh\") }'",
    "snowsql -q 'execute dbt project shop'",
    "psql -c '\\! ./run.sh'",
    "airflow tasks run other task 2024-01-01",
    "spark-submit job.py",
    "echo $(./run.sh)",
    "if ./check.sh; then echo yes; fi",
    "true || ./run.sh; ./other.sh",
    "echo a; dbt --version; ./run.sh",
]


@pytest.mark.parametrize("command", UNKNOWN)
def test_a_command_that_is_not_seen_through_may_run_dbt(command: str) -> None:
    """A program that is not known not to run dbt is opaque, undetermined, and says which it is."""
    unit = bash(command)

    assert (unit.kind.value, unit.determined) == ("opaque", False), unit.reason
    assert (unit.selection_determined, unit.window_determined) == (False, False)
    assert unit.reason.startswith("it may run dbt: "), unit.reason
    assert unit.may_run_dbt


@pytest.mark.parametrize(
    "command",
    [
        "echo dbt run; pip install dbt-core; ls dbt",
        "cd /tmp && mkdir -p x && cp a b | tee log",
        "export A=1; sleep 5; date -u",
        "curl -fsSL https://example.invalid/x -o x",
        "curl -X GET https://example.invalid/x",
        "curl --request=HEAD https://example.invalid/x",
        "aws s3 cp a s3://b/c --recursive",
        "aws --region eu-central-1 s3 ls",
        "gsutil -m rsync a gs://b",
        "gcloud storage cp a gs://b",
        "psql -h db -c 'select 1'",
        "snowsql -q 'select 1'",
        "bq query 'select 1'",
        "kubectl -n jobs get pods",
        "docker pull team/dbt:1",
        "docker --context far logs run",
        "docker run --rm alpine echo hi",
        "kubectl exec pod -- ls /dbt",
        "python -m pip install dbt-core",
        "python --version",
        "poetry install",
        "uv sync --frozen",
        "conda activate dbt",
        "source venv/bin/activate && echo ok",
        "find . -name '*.sql' -exec wc -l {} +",
        "ls | xargs rm -f",
        "git clone https://example.invalid/dbt.git",
        "bash -c 'echo dbt run'",
        "echo 'ls dbt' | sh",
        "printf '%s' dbt | sha256sum",
        "for f in a b; do [ -f $f ] && gzip $f; done",
        "exit 0",
    ],
)
def test_what_is_known_runs_no_dbt(command: str) -> None:
    """Builtins, core utilities, and clients of storage and of databases run no dbt, whatever they are told about it."""
    unit = bash(command)

    assert (unit.kind.value, unit.determined, unit.reason) == ("non-dbt", True, "")


@pytest.mark.parametrize(
    ("operator", "fields"),
    [
        (POD, {"image": "team/thing"}),
        (POD, {"image": "team/thing", "arguments": ["--day", "{{ ds }}"]}),
        (POD, {"image": "team/thing", "cmds": ["python"], "arguments": ["x.py"]}),
        (POD, {"image": "team/thing", "cmds": ["bash", "-c"], "arguments": ["cd /app && ./run.sh"]}),
        (DOCKER, {"image": "team/thing", "command": "python x.py"}),
        (DOCKER, {"image": "team/thing"}),
        (SSH, {"command": "./run.sh {{ ds }}"}),
    ],
)
def test_a_container_that_is_not_seen_through_may_run_dbt(operator: str, fields: dict[str, object]) -> None:
    """What an image starts by itself, or a program that a container is given, may be dbt."""
    unit = read(fields, operator=operator)

    assert (unit.kind.value, unit.determined) == ("opaque", False)
    assert unit.reason.startswith("it may run dbt: "), unit.reason


SIDE = [
    "python upload_results.py results",
    "python upload_dbt_results.py results",
    "python -m dbt_uploads results",
    "./dbt_upload.sh",
    "bash upload_dbt.sh 'dbt run failed'",
    "make dbt",
    "poetry run dbt_upload",
    "curl -X POST https://example.invalid/dbt",
    "cat dbt_upload.sh | bash",
]


def _seen(unit: UnitReading) -> tuple[object, ...]:
    selects = [invocation.as_json()["select"] for invocation in unit.invocations]
    return unit.determined, unit.reason, selects, unit.masks_failure


@pytest.mark.parametrize("side", SIDE)
@pytest.mark.parametrize("command", ["run", "test"])
def test_what_runs_beside_dbt_decides_nothing(side: str, command: str) -> None:
    """Case estate-side_command: the call stays determined whatever the uploader is called, and the uploader is said."""
    unit = bash(f"dbt {command} --select tag:nightly; ret=$?; {side}; exit $ret")

    assert unit.kind.value == f"dbt-{command}"
    assert _seen(unit) == (True, "", ["tag:nightly"], False)
    [program] = unit.beside
    assert program.strip("`").split()[-1] in side.replace("'", "")
    assert [(w.code.value, program in w.message) for w in unit.warnings] == [("not-seen-through", True)]


@pytest.mark.parametrize(
    "notify", ["python notify.py", "./dbt_notify.sh", "curl -d x https://example.invalid"]
)
def test_a_program_beside_dbt_is_taken_to_succeed(notify: str) -> None:
    """A notification behind `||` does not stand in for dbt: the failure is lost, as it is with `echo`."""
    unit, plain = bash(f"dbt run -s a || {notify}"), bash("dbt run -s a || echo failed")

    assert _seen(unit) == _seen(plain) == (True, "", ["a"], True)
    assert len(unit.beside) == 1


@pytest.mark.parametrize(
    "command",
    [
        "dbt deps && ./run.sh",
        "dbt docs generate; python x.py",
        "dbt run -s a; ls models | xargs -n 1 dbt run -s",
        "dbt run -s a; find models -exec dbt run -s {} ';'",
        "dbt run -s a; ssh host 'cd /app && dbt test'",
        "dbt run -s a; ./retry.sh 3 dbt --quiet test -s a",
        "dbt run -s a; flock /tmp/x -c 'dbt test'",
        "dbt run -s a; parallel 'dbt --quiet run -s {}' ::: b c",
        "dbt run -s a; python -c 'from dbt.cli.main import dbtRunner; dbtRunner().invoke([\"test\"])'",
        "dbt run -s a; python <<'X'\nfrom dbt.cli.main import dbtRunner\ndbtRunner().invoke(['test'])\nX",
        "dbt run -s a; $(which dbt) test",
        "dbt run -s a; docker run team/thing test -s a",
    ],
)
def test_a_hidden_call_of_dbt_is_undetermined_beside_another(command: str) -> None:
    """A call of dbt that is handed to another program is one of the task's calls, and so is all behind `dbt deps`."""
    unit = bash(command)

    assert not unit.determined
    assert "opaque" in [kind.value for kind in unit.kinds]
    assert unit.reason


def test_only_what_is_known_is_other() -> None:
    """The verdict is by the program, not by a word among its arguments."""
    kinds = {
        text: what_runs(text.split(), Holes()).kind
        for text in ("echo dbt run", "x dbt", "x dbt run", "timeout 5 ./dbt.sh", "env A=1 cat x")
    }

    assert list(kinds.values()) == [
        ProgramKind.OTHER,
        ProgramKind.UNSEEN,
        ProgramKind.OPAQUE,
        ProgramKind.UNSEEN,
        ProgramKind.OTHER,
    ]


def test_hundreds_of_opaque_tasks_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """300 tasks that may run dbt, and 300 that run something beside it, are a line each for the DAG."""
    commands = [f"./run_dbt.sh {n}" for n in range(300)]
    commands += [f"dbt run -s m{n}; python upload_dbt_results.py" for n in range(300)]
    tasks = [
        task(
            {"bash_command": command},
            name=f"t{number}",
            operator=BASH,
            samples=sampled({"bash_command": command}, days=("2024-03-01",)),
            depends_on_past=True,
        )
        for number, command in enumerate(commands)
    ]
    content = document(*tasks)
    content["dags"][0] |= {"start": "2024-01-01T00:00:00+00:00"}
    found = report(content)

    print_inventory(found)
    lines = [line for line in capsys.readouterr().out.splitlines() if "seen" in line or "beside" in line]
    text = " ".join(lines)
    assert len(lines) <= 4, lines
    assert "300 tasks may run dbt and are not seen through (t0, t1, t2 and 297 more)" in text
    assert "300 tasks run `python upload_dbt_results.py` beside dbt (t300, t301, t302 and 297 more)" in text

    [dag] = read_document(content, "inventory.json").dags
    assert all(isinstance(each, Task) for each in dag.tasks)
    readings = {unit.task_id: unit for unit in found.units}
    gaps = draft_dag(dag, readings, Place("dbt", lambda _: "", DagsterCrons.asked_now())).gaps
    told = [gap for gap in gaps if "seen through" in gap or "beside dbt" in gap]
    assert len(told) == 2, told
