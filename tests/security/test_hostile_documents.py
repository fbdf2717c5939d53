"""Inventories and `--spec` files that are endless, nested without end or hold odd numbers: one clear error each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dagster_defs import cli
from dagster_defs.errors import BadComparisonFile, InventoryUnreadable, ParityError
from dagster_defs.usecases.compare.spec import read_tolerances
from dagster_defs.usecases.inventory import read_inventory

TASK = {"task_id": "t", "operator": "EmptyOperator", "templated": {}}
DAG = {
    "dag_id": "d",
    "schedule": {"text": "@daily", "kind": "cron", "cron": "0 0 * * *"},
    "max_active_runs": 16,
    "tasks": [TASK, {**TASK, "task_id": "other", "retries": 0}],
}
INVENTORY = json.dumps(
    {
        "schema": "parity/inventory/1",
        "airflow_version": "2.11.2",
        "import_errors": [],
        "dags": [DAG],
        "complete": True,
    }
)
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)

INVENTORIES = {
    "NaN": (INVENTORY.replace("16", "NaN"), "NaN is not a number"),
    "Infinity": (INVENTORY.replace("16", "-Infinity"), "Infinity is not a number"),
    "a number beyond floats": (INVENTORY.replace("16", "1e400"), "the number 1e400 is too large"),
    "a number of 10,000 digits": (INVENTORY.replace("16", "9" * 10_000), "no JSON"),
    "10,000 levels": (
        INVENTORY.replace("16", "[" * 10_000 + "]" * 10_000),
        "nested more than 100 levels deep",
    ),
    "101 levels": (INVENTORY.replace("16", "[" * 101 + "]" * 101), "nested more than 100 levels deep"),
    "a key twice": (INVENTORY.replace('"max_active_runs"', '"dag_id"'), "the key 'dag_id' is there twice"),
    "a list": ("[]", "no `schema`"),
    "another shape": (INVENTORY.replace("16", '"many"'), "of another shape"),
    "cut off": (INVENTORY[:-30], "cut off"),
    "nothing": ("", "cut off"),
}
SPECS = {
    "a bomb of aliases": (BOMB + "tolerances: [*i]\n", "counting what its aliases stand for"),
    "an alias of itself": ("tolerances: &t [*t]\n", ""),
    "10,000 levels": ("tolerances: " + "[" * 10_000 + "]" * 10_000, "nested more than 100 levels deep"),
    "a block of 200 levels": (
        "".join(" " * n + f"k{n}:\n" for n in range(200)),
        "nested more than 100 levels deep",
    ),
    "2 MB": ("# " + "x" * (2 << 20), "larger than 1,048,576 bytes"),
    "not UTF-8": (b"tolerances: \xff", "not UTF-8 text (byte 12)"),
    "a key twice": ("tolerances: []\ntolerances: []\n", "the key 'tolerances' is there twice (line 2)"),
    "a Python object": (
        "tolerances: !!python/object/apply:os.system [exit]",
        "could not determine a constructor",
    ),
    "a number that is none": ("tolerances: [{column: a, kind: absolute, value: .nan, reason: r}]", ""),
    "a null byte": ("tolerances: \x00", "special characters are not allowed"),
}


@pytest.mark.parametrize(("text", "reason"), INVENTORIES.values(), ids=INVENTORIES.keys())
def test_an_inventory_that_cannot_be_says_why(tmp_path: Path, text: str, reason: str) -> None:
    """The file is named, the reason stands in words, and Python's own error reaches nobody."""
    file = tmp_path / "inventory.json"
    file.write_text(text)
    with pytest.raises(InventoryUnreadable, match=r"inventory\.json") as raised:
        read_inventory(file, tmp_path / "parity.yaml")
    assert reason in str(raised.value)


@pytest.mark.parametrize("value", ["many", [], {}, "1e999"])
def test_one_task_that_cannot_be_costs_itself(tmp_path: Path, value: object) -> None:
    """Its record is broken with the reason, and the task beside it is read."""
    file = tmp_path / "inventory.json"
    document = json.loads(INVENTORY)
    document["dags"][0]["tasks"][0]["retries"] = value or {"a": 1}
    file.write_text(json.dumps(document))
    broken, sound = read_inventory(file, tmp_path / "parity.yaml").dags[0].tasks
    assert "not as it should be" in getattr(broken, "reason", "")
    assert sound.task_id == "other"
    assert not hasattr(sound, "reason")


@pytest.mark.parametrize(("text", "reason"), SPECS.values(), ids=SPECS.keys())
def test_a_file_of_tolerances_that_cannot_be_says_why(tmp_path: Path, text: str | bytes, reason: str) -> None:
    """It is refused before it has grown, with the file's name and the reason."""
    file = tmp_path / "tolerances.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ParityError) as raised:
        read_tolerances(file)
    assert isinstance(raised.value, BadComparisonFile)
    assert "tolerances.yaml" in str(raised.value)
    assert reason in str(raised.value)


@pytest.mark.parametrize(("text", "reason"), list(SPECS.values())[:3], ids=list(SPECS)[:3])
def test_the_command_ends_with_that_error(tmp_path: Path, text: str, reason: str) -> None:
    """`parity compare --spec` exits with 2, whatever the file does to a reader."""
    file = tmp_path / "spec.yaml"
    file.write_text(text)
    done = CliRunner().invoke(cli.app, ["compare", "--spec", str(file)])
    assert isinstance(done.exception, ParityError | SystemExit), done.exception
    assert reason in str(done.exception) + done.output
