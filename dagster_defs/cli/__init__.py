"""`parity`: parse, call, print. Importing a module of commands adds them to the program."""

from dagster_defs.cli import deployment, echoing, looking, moving, running, storing
from dagster_defs.cli.app import app, main

__all__ = ["app", "deployment", "echoing", "looking", "main", "moving", "running", "storing"]
