"""Runs in Airflow's environment: its database and its user, by its own commands in one process, which imports once."""

from __future__ import annotations

from airflow.cli.cli_parser import get_parser
from airflow.providers.fab.auth_manager.models import User
from airflow.utils.session import create_session
from werkzeug.security import generate_password_hash

LOGIN = "admin"  # and the password, which everybody is told
USER = ("--username", LOGIN, "--password", LOGIN, "--email", "admin@localhost")
NAME = ("--firstname", "Demo", "--lastname", "Admin", "--role", "Admin")

parser = get_parser()
for command in (["db", "migrate"], ["users", "create", *USER, *NAME]):
    arguments = parser.parse_args(command)
    arguments.func(arguments)
# Basic auth checks the password at each request, and Airflow's own hash is slow on purpose: 0.1 CPU seconds each time.
with create_session() as session:
    session.query(User).filter_by(username=LOGIN).one().password = generate_password_hash(
        LOGIN, method="pbkdf2:sha256:1"
    )
