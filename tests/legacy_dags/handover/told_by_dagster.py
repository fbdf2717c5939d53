"""Used by programs that Airflow's Python runs: marks as observations in Dagster at DAGSTER_URL."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import requests


class InDagster:
    """The marks are kept twice: what was written last is not asked for."""

    def __init__(self, dag_id: str) -> None:
        self.path = ["parity_marks", dag_id]
        self.kept = Path(os.environ["PARITY_PROXIED_STATE"]) / "told"

    def read(self) -> str:
        return self.kept.read_text() if self.kept.exists() else ""

    def write(self, text: str) -> None:
        self.kept.write_text(text)
        self._observe(self.path, text)

    def lose(self) -> None:
        self.kept.unlink(missing_ok=True)
        for path in (self.path[:1], self.path):
            ranges = [{"assetKey": {"path": path}}]
            self._ask(
                "mutation W($r: [PartitionsByAssetSelector!]!) { wipeAssets(assetPartitionRanges: $r) "
                "{ __typename } }",
                r=ranges,
            )

    def set_up(self) -> None:
        self._observe(self.path[:1], "here")

    def _observe(self, path: list[str], text: str) -> None:
        event = {"eventType": "ASSET_OBSERVATION", "assetKey": {"path": path}, "description": text}
        self._ask(
            "mutation R($e: ReportRunlessAssetEventsParams!) { reportRunlessAssetEvents(eventParams: $e) "
            "{ __typename } }",
            e=event,
        )

    def _ask(self, query: str, **variables: Any) -> None:
        asked: Any = {"query": query, "variables": variables}
        answer = requests.post(f"{os.environ['DAGSTER_URL']}/graphql", json=asked, timeout=60)
        answer.raise_for_status()
        [result] = answer.json()["data"].values()
        assert result["__typename"].endswith("Success"), answer.text
