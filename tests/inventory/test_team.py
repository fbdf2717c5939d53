"""`parity.yaml`: what a team knows of its estate and no DAG file says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dagster_defs.adapters.files.team_file import read_team
from dagster_defs.errors import TeamFileUnreadable
from dagster_defs.inventory import Kind, UnitReading, describe, read_document
from dagster_defs.inventory.team import FILE, NO_TEAM, Team, untagged
from dagster_defs.settings import Settings
from tests.support import inventory_samples as samples
from tests.support.inventory_samples import BASH, POD, PYTHON

BUILD = ["build", "--select", "tag:daily", "--exclude", "seeds/"]


def of_pod(image: str, words: list[str], team: Team) -> UnitReading:
    fields = {"image": image, "arguments": words}
    return read(samples.task(fields, operator=POD, samples=samples.sampled(fields)), team)


def read(task: dict[str, Any], team: Team) -> UnitReading:
    inventory = read_document(samples.document(task), "inventory.json").told_by(team)
    return describe(inventory, samples.FakeProject()).units[0]


def told(text: str, tmp_path: Path) -> Team:
    file = tmp_path / FILE
    file.write_text(text)
    return read_team(file)


@pytest.mark.parametrize(
    ("image", "said", "words"),
    [
        ("registry.example.com/our-dbt:v1", "registry.example.com/our-dbt: dbt", BUILD),
        ("registry.example.com:5000/our-dbt:v1", "registry.example.com:5000/our-dbt: dbt", BUILD),
        ("registry.example.com/our-dbt@sha256:0123", "registry.example.com/our-dbt: dbt", BUILD),
        ("registry.example.com/our-dbt:v1@sha256:0123", "registry.example.com/our-dbt: dbt", BUILD),
        ("our-dbt", "our-dbt: poetry run dbt --no-use-colors", BUILD),
        ("tools", "tools: env DBT_PARTIAL_PARSE=0 dbt", ["--quiet", *BUILD]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_image_starts_what_the_team_says(image: str, said: str, words: list[str], tmp_path: Path) -> None:
    """Arguments follow the words of the image, whatever its tag or digest (estate-image_entrypoint)."""
    unit = of_pod(image, words, told(f"images:\n  {said}\n", tmp_path))

    [call] = unit.invocations
    assert unit.determined, unit.reason
    assert (unit.kind, call.selection.select, call.selection.exclude) == (
        Kind.BUILD,
        ("tag:daily",),
        ("seeds/",),
    )


@pytest.mark.parametrize(
    "said",
    [
        "{}",
        "images: {}",
        "images: {registry.example.com/their-dbt: dbt}",
        "images: {example.com/our-dbt: dbt}",
    ],
)
def test_without_a_word_the_image_decides(said: str, tmp_path: Path) -> None:
    """Another image's word says nothing of this one, and the message has the line that would."""
    unit = of_pod("registry.example.com/our-dbt:v1", BUILD, told(said, tmp_path))

    assert (unit.kind, unit.determined) == (Kind.OPAQUE, False)
    assert "the image decides what `build --select tag:daily --exclude seeds/` starts" in unit.reason
    assert unit.reason.endswith("say so in parity.yaml: images: {registry.example.com/our-dbt: dbt}")


def test_an_image_that_starts_something_else_is_not_dbt(tmp_path: Path) -> None:
    """What the team says is read as any command is: a module of its own is not seen through."""
    team = told("images: {our-tool: python -m our_tool}", tmp_path)

    assert of_pod("our-tool:1", BUILD, team).kind is Kind.OPAQUE


def test_dbts_own_images_need_no_word() -> None:
    """The entrypoint of dbt Labs' images is known."""
    assert of_pod("ghcr.io/dbt-labs/dbt-bigquery:1.9.latest", BUILD, NO_TEAM).determined


def test_an_image_that_a_template_names_is_said_by_its_template(tmp_path: Path) -> None:
    """Its value is Airflow's own, and the team knows what each value of it starts."""
    fields = {"image": "{{ var.value.dbt_image }}", "arguments": BUILD}
    rendered = {**fields, "image": "__undetermined__"}
    sample = {**samples.sampled({})[0], "fields": rendered}
    task = samples.task(fields, operator=POD, samples=[sample])

    asked = read(task, NO_TEAM)
    line = asked.reason.partition("parity.yaml: ")[2]
    unit = read(task, told(line, tmp_path))

    assert line == 'images: {"{{ var.value.dbt_image }}": dbt}'
    assert (unit.kind, unit.determined) == (Kind.BUILD, True), unit.reason


def test_an_image_without_a_command_may_be_given_one(tmp_path: Path) -> None:
    """The image's own script runs what a variable says, and nothing else tells that."""
    fields = {"image": "shop/dbt-runner:{{ var.value.sha }}", "env_vars": {"DBT_CMD": "dbt build -s a"}}
    task = samples.task(fields, operator=POD)

    asked = read(task, NO_TEAM)
    unit = read(task, told("images: {shop/dbt-runner: 'bash -c \"$DBT_CMD\"'}", tmp_path))

    assert asked.reason == (
        "it has no command, and what image shop/dbt-runner:{{ var.value.sha }} starts cannot be seen. If it is dbt, "
        "say so in parity.yaml: images: {shop/dbt-runner: dbt build}"
    )
    assert [call.selection.select for call in unit.invocations] == [("a",)]


def of_function(team: Team, **more: Any) -> UnitReading:
    code = {"module": "include.jobs", "qualname": "refresh", "file": None, "line": 1, **more}
    task = samples.task({"op_kwargs": {}}, operator=PYTHON, samples=samples.sampled({"op_kwargs": {}}))
    return read({**task, "python_callable": code}, team)


def test_a_function_runs_what_the_team_says(tmp_path: Path) -> None:
    """Its source may hide it, or not be there."""
    hidden = "def refresh():\n    dbt_client().trigger('nightly')\n"
    team = told("functions: {include.jobs.refresh: 'dbt run --select tag:nightly'}", tmp_path)

    assert of_function(NO_TEAM, source=hidden).kind is Kind.OPAQUE
    for source in (hidden, None):
        unit = of_function(team, source=source)
        assert (unit.kind, unit.determined) == (Kind.RUN, True)
        assert unit.invocations[0].selection.select == ("tag:nightly",)


def test_a_dead_dag_is_left_out(tmp_path: Path) -> None:
    """It has no row, no mirror and no gap."""
    inventory = read_document(samples.document(samples.task({}, operator=BASH)), "inventory.json")

    assert inventory.told_by(told("dead_dags: [other]", tmp_path)).dags
    assert inventory.told_by(told("dead_dags: [shop]", tmp_path)).dags == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("images: [our-dbt]", "images must be a mapping"),
        ("images: {our-dbt: 5}", "must be a text"),
        ("images: {our-dbt: ''}", "no words"),
        ("images: {our-dbt: '{{ var.value.entry }}'}", "templates are not rendered here"),
        ("images: {'our-dbt:v1': dbt}", "has a tag: write our-dbt"),
        ("image: {our-dbt: dbt}", "image"),
        ("functions: {a.b: bash run.sh}", "is not a call of dbt"),
        ('functions: {a.b: "dbt run --select \'tag"}', "No closing quotation"),
        ("dead_dags: shop", "dead_dags must be a list such as"),
        ("- our-dbt", "must be a mapping"),
        ("images: {our-dbt: dbt", "expected"),
        ("[" * 5000, "recursion"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_refused(text: str, why: str, tmp_path: Path) -> None:
    """With the file, the place and the remedy; nothing of it is half-believed."""
    with pytest.raises(TeamFileUnreadable) as refused:
        told(text, tmp_path)

    assert str(tmp_path / FILE) in str(refused.value)
    assert why in str(refused.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """One error that names the file."""
    (tmp_path / FILE).write_bytes(b"\xff\xfe\x00")

    with pytest.raises(TeamFileUnreadable):
        read_team(tmp_path / FILE)


@pytest.mark.parametrize("text", ["", "# nothing yet\n"])
def test_no_file_and_an_empty_one_say_nothing(text: str, tmp_path: Path) -> None:
    """Neither is an error."""
    assert read_team(tmp_path / "none.yaml") == told(text, tmp_path) == NO_TEAM


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("a", "a"),
        ("a:1", "a"),
        ("h:5/a", "h:5/a"),
        ("h:5/a:1", "h:5/a"),
        ("h/a:1@sha256:2", "h/a"),
        ("", ""),
        ("h/a:{{ t }}", "h/a"),
        ("{{ r }}/a:1", "{{ r }}/a"),
        ("{{ v.get('a', 'b:1') }}", "{{ v.get('a', 'b:1') }}"),
    ],
)
def test_a_registrys_port_is_no_tag(image: str, name: str) -> None:
    """Only what follows the last slash has a tag."""
    assert untagged(image) == name


def test_the_file_has_one_name() -> None:
    """In messages and where it is looked for."""
    assert Settings().team_file.name == FILE
