"""Runs dbt commands word for word, one after another: the commands of Airflow's tasks, without a new Python for each.

Input on stdin: a JSON list of commands as Airflow rendered them (`dbt build --select …`). Ends with the first failure.
"""

from __future__ import annotations

import json
import shlex
import sys

# dbt imports every module on the path whose name begins with `dbt_`, for a plug-in: those beside this file are none.
sys.path.pop(0)

from dbt.cli.main import dbtRunner


def main() -> int:
    for command in json.load(sys.stdin):
        program, *words = shlex.split(command)
        if program != "dbt" or not dbtRunner().invoke(words).success:
            sys.stderr.write(f"failed: {command}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
