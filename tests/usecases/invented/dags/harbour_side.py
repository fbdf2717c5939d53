"""What stands around a dbt call."""

import pendulum
from airflow.models.dag import DAG
from airflow.operators.bash import BashOperator

COMMANDS = {
    "synced_before": "aws s3 sync s3://harbour/dbt /srv/harbour && dbt run -s fees",
    "posted_after": "dbt run -s invoices && curl -fsS https://harbour.invalid/done",
    "both": "mkdir -p /tmp/harbour; dbt run -s dues; tar czf /tmp/harbour/logs.tgz /srv/harbour/logs",
    "run_and_test": "dbt run -s fees && dbt test -s fees",
    "seed_run_test": "dbt seed && dbt run && dbt test",
    "never_fails": "dbt run -s levies || true",
    "in_a_folder": "pushd /srv/harbour > /dev/null && dbt run -s tugs && popd",
    "with_virtualenv": "source /srv/venv/bin/activate && dbt run -s moorings",
    "script": "/srv/harbour/bin/nightly.sh {{ ds }}",
    "module": "python -m harbour.with_dbt_in_it --day {{ ds }}",
    "says_something": "echo {{ ds }}",
}

with DAG(
    "harbour_side",
    schedule="@daily",
    start_date=pendulum.datetime(2024, 3, 1, tz="UTC"),
    catchup=True,
    tags=["harbour"],
):
    for name, command in COMMANDS.items():
        BashOperator(task_id=name, bash_command=command)
