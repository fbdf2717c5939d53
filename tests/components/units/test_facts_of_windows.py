"""What a Python unit's function says of each window, in a run over many."""

from __future__ import annotations

from pathlib import Path

from dagster import AssetKey

from tests.components.conftest import Project

CODE = """
def count(day, side):
    return {"rows": int(day[-2:]), "day": day} if day != "2024-03-11" else None
"""
DAYS = {"cron": "@daily", "start": "2024-03-01"}


def test_each_window_has_the_facts_of_its_own_call(project: Project) -> None:
    """In a run over three windows each partition's materialization has what the function returned for it, and its
    own bounds; a call that returns nothing leaves nothing."""
    code = project.estate.root / "facts_code"
    code.mkdir(exist_ok=True)
    (Path(code) / "counting_rows.py").write_text(CODE)
    declared = {
        "unit": "own.counts", "schedule": DAYS, "function": "counting_rows.count", "python_path": code.name,
        "arguments": {"day": "{{ ds }}"}, "outputs": [{"key": "thing"}, {"key": "other"}],
    }  # fmt: skip
    project.declare("own", ("PythonUnit", declared))
    project.load()

    result = project.estate.run("own__counts", ("2024-03-09", "2024-03-11"))

    for key in ("thing", "other"):
        found = {
            event.materialization.partition: event.materialization.metadata
            for event in result.get_asset_materialization_events()
            if event.asset_key == AssetKey(key)
        }
        rows = {day: said["dagster/row_count"].value for day, said in found.items() if "day" in said}
        assert rows == {"2024-03-09": 9, "2024-03-10": 10}
        assert "day" not in found["2024-03-11"]
        bounds = [
            [float(str(said[f"parity/window_{end}"].value)) for end in ("start", "end")]
            for said in found.values()
        ]
        assert [end - start for start, end in bounds] == [86400] * 3
        assert len({start for start, _ in bounds}) == 3
