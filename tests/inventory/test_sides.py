"""What a task runs beside dbt: where, whether it may fail, and whether a mirror can do the same."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Collection
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_defs.inventory.calls import Place, SideCommand
from dagster_defs.inventory.holes import Holes
from dagster_defs.inventory.shell import read_script


def sides(script: str) -> tuple[SideCommand, ...]:
    return read_script(script, Holes()).sides


@pytest.mark.parametrize(
    ("script", "place", "may_fail"),
    [
        ("aws s3 sync a b && dbt run", Place.BEFORE, False),
        ("aws s3 sync a b; dbt run", Place.BEFORE, True),
        ("aws s3 sync a b || true; dbt run", Place.BEFORE, True),
        ("set -e\naws s3 sync a b\ndbt run", Place.BEFORE, False),
        ("dbt run && ./notify.sh", Place.AFTER, False),
        ("dbt run && (./notify.sh || true)", Place.AFTER, True),
        ("set -e; cd /x; dbt run; curl h", Place.AFTER, False),
        ("dbt deps && aws s3 cp a s3://b && dbt run", Place.BEFORE, False),
        ("dbt run && timeout 60 aws s3 cp a s3://b && dbt docs generate", Place.AFTER, False),
        ("dbt run && sudo psql -c 'select 1'", Place.AFTER, False),
        ("curl h && dbt run --project-dir /x", Place.BEFORE, False),
        ("( { exit 0; } > log ); aws s3 cp a s3://b && dbt run", Place.BEFORE, False),
        ("upload() { python upload.py; }; dbt run && upload", Place.AFTER, False),
        ("bash -c 'gsutil cp a gs://b' && dbt run", Place.BEFORE, False),
    ],
)
def test_a_mirror_runs_the_same_around_its_own_call(script: str, place: Place, may_fail: bool) -> None:
    """With what a failure of it means, whatever the program is called."""
    [side] = sides(script)

    assert (side.place, side.may_fail, side.why_not) == (place, may_fail, "")


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("dbt seed && curl h && dbt run", "between two calls"),
        ("dbt run; curl h", "after a failure of dbt too"),
        ("set -e; dbt run; cd /x; curl h", "another folder than dbt"),
        ("cd /opt/jobs && ./load.sh && cd /proj && dbt run", "another folder than dbt"),
        ("cd /jobs && ./load.sh && dbt run --project-dir /proj", "another folder than dbt"),
        ("cd /jobs && ./load.sh && DBT_PROJECT_DIR=/proj dbt run", "another folder than dbt"),
        ("ID=$(curl h); dbt run", "a substitution"),
        ("aws s3 cp a s3://b; rc=$?; dbt run; exit $rc", "only after dbt has run"),
        ("trap 'curl h' EXIT; set -e; dbt run", "after a failure of dbt too"),
        ("if [ -f x ]; then curl h; fi; dbt run", "under a condition"),
        ("for x in a b; do curl $x; done; dbt run", "several times"),
        ("curl h > file && dbt run", "a redirection"),
        ("aws s3 ls | grep x; dbt run", "a pipeline"),
        ("curl $URL && dbt run", "$URL is known only where the task runs"),
        ("curl -H 'Token: x' h && dbt run", "looks like a secret"),
        ("psql postgres://me:pw@h/d -c 'select 1' && dbt run", "looks like a secret"),
        ("export API_TOKEN=x; curl h && dbt run", "looks like a secret"),
        ("dbt run && aws s3 cp target/manifest.json s3://b", "a folder that dbt writes"),
        ("dbt run && ./upload --file=target/manifest.json", "a folder that dbt writes"),
    ],
)
def test_what_a_mirror_cannot_run_has_a_reason(script: str, why: str) -> None:
    """It stays out, and is never a reason to refuse the task."""
    side = sides(script)[0]

    assert why in side.why_not
    assert "Token" not in side.said
    assert ":pw@" not in side.said


@pytest.mark.parametrize(
    "script",
    ["cd /x && mkdir -p y && dbt run", "pip install dbt && git pull && dbt run", "echo x; dbt run", "curl h"],
)
def test_what_only_prepares_is_no_command_of_the_mirrors(script: str) -> None:
    """Nor is anything of a script without dbt."""
    assert sides(script) == ()


JOINT = st.sampled_from([" && ", "; ", "\n", " || true; ", " || "])


@st.composite
def scripts(draw: st.DrawFn) -> tuple[str, list[str]]:
    """One call of dbt among programs with names of their own, joined in any way."""
    before, after = (
        draw(st.lists(st.sampled_from(["aws s3 sync", "curl", "./own.sh"]), max_size=2)) for _ in "ab"
    )
    words = [*before, "dbt run", *after]
    named = [f"{program} p{number}" for number, program in enumerate(words)]
    text = draw(st.sampled_from(["", "set -e\n"]))
    for number, each in enumerate(named):
        text += each if number == len(named) - 1 else each + draw(JOINT)
    return text, [f"p{number}" for number in range(len(words)) if number != len(before)]


def really_ran(folder: Path, script: str, failing: Collection[str]) -> tuple[list[str], int]:
    """The last word of each program that a real shell starts, and its exit code."""
    log = folder / "log"
    log.write_text("")
    env = {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "FAILING": " ".join(failing),
        "LOG": str(log),
    }
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=env, check=False)
    return log.read_text().split(), done.returncode


@settings(max_examples=60, deadline=None)
@given(scripts())
def test_a_real_shell_agrees(drawn: tuple[str, list[str]]) -> None:
    """What is said of each program is what a shell does if it, or dbt, fails."""
    script, names = drawn
    found = {side.words[-1]: side for side in sides(script)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stub = '#!/bin/bash\nword="${@: -1}"\necho "$word" >> "$LOG"\n[[ " $FAILING " != *" $word "* ]]\n'
        for program in ("aws", "curl", "dbt", "own.sh"):
            (folder / program).write_text(stub)
            (folder / program).chmod(0o755)
        ran, _ = really_ran(folder, script, ())
        [dbt] = [f"p{n}" for n in range(len(names) + 1) if f"p{n}" not in names]
        if dbt not in ran:
            return
        assert set(found) == set(ran) & set(names)
        for word, side in found.items():
            if side.why_not:
                continue
            after_failure, code = really_ran(folder, script, [word])
            if side.place is Place.BEFORE:
                assert side.may_fail == (dbt in after_failure), script
            else:
                assert side.may_fail == (code == 0), script
                assert word not in really_ran(folder, script, [dbt])[0], script
