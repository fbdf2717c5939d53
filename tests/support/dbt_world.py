"""Small dbt projects and their mirrors, in a separate folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from dagster_defs.adapters.dagster.mirrors import Mirrors, mirrors_among
from tests.support.trees import component_tree

DAYS = {"cron": "@daily", "start": "2024-01-01"}


class World:
    """dbt projects and mirrors in a separate folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "pyproject.toml").touch()

    def project(self, folder: str, files: Mapping[str, str], name: str = "shop") -> None:
        profile = {
            side: {"type": "duckdb", "path": f"../data/{name}_{side}.duckdb"}
            for side in ("legacy", "candidate")
        }
        base = {
            "dbt_project.yml": f"name: {name}\nprofile: {name}\nflags: {{send_anonymous_usage_stats: false}}\n",
            "profiles.yml": yaml.safe_dump({name: {"target": "legacy", "outputs": profile}}),
        }
        for path, text in {**base, **files}.items():
            file = self.root / folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(base[path] + text if path in base and path in files else text)

    def declare(self, *units: Mapping[str, Any]) -> None:
        documents = [
            yaml.safe_dump(
                {"type": "dagster_defs.components.DbtUnit", "attributes": {"schedule": DAYS, **unit}}
            )
            for unit in units
        ]
        folder = self.root / "own_defs" / "shop"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "defs.yaml").write_text("---\n".join(documents))

    @property
    def tree(self) -> dg.ComponentTree:
        return component_tree(self.root / "own_defs", self.root)

    def load(self) -> dg.Definitions:
        return self.tree.build_defs()

    def mirrors(self) -> Mirrors:
        return mirrors_among(self.tree.get_all_components(of_type=dg.Component)).resolved()
