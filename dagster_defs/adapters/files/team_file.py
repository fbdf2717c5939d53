"""Reads parity.yaml, the team's own file."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import ValidationError

from dagster_defs.adapters.files import strict_json
from dagster_defs.adapters.files.wrong_input import in_words
from dagster_defs.errors import TeamFileUnreadable
from dagster_defs.inventory.cloud_jobs import CloudJob, read_jobs
from dagster_defs.inventory.team import NO_TEAM, Team


def read_team(file: Path) -> Team:
    """The file's content; empty if there is no file. Raises TeamFileUnreadable."""
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return NO_TEAM
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise TeamFileUnreadable(str(file), " ".join(str(error).split())) from error
    if document is None:
        return NO_TEAM
    try:
        team = Team.model_validate(document)
    except ValidationError as error:
        raise TeamFileUnreadable(str(file), in_words(error, document)) from error
    return team.with_jobs(_cloud_jobs(file.parent / team.dbt_cloud_jobs)) if team.dbt_cloud_jobs else team


def _cloud_jobs(file: Path) -> tuple[CloudJob, ...]:
    try:
        return read_jobs(strict_json.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise TeamFileUnreadable(str(file), error.strerror or "it cannot be read") from error
    except ValueError as error:
        raise TeamFileUnreadable(
            str(file), f"it is not dbt Cloud's answer about its jobs: {error}"
        ) from error
