"""One container for each model, as a company with a cluster has it."""

import pendulum
from airflow.models.dag import DAG
from harbour_plugin import ContainerOperator, DbtCloudRunJobOperator, HarbourDbt, TideReport

MODELS = ("stg_calls", "stg_cargo", "stg_vessels", "fees", "invoices", "late_calls", "pilots", "tugs", "moorings",
          "dues", "levies", "berths")  # fmt: skip

with DAG(
    "harbour_containers",
    schedule="15 3 * * *",
    start_date=pendulum.datetime(2024, 3, 1, tz="UTC"),
    catchup=True,
    default_args={"retries": 1, "execution_timeout": pendulum.duration(minutes=20)},
    tags=["harbour"],
):
    last = None
    for model in MODELS:
        one = ContainerOperator(
            task_id=f"build_{model}",
            image="registry.harbour.invalid/dbt:7",
            cmds=["dbt"],
            arguments=["run", "--select", model, "--project-dir", "/srv/harbour"],
        )
        if last is not None:
            last >> one
        last = one
    ContainerOperator(
        task_id="by_entrypoint",
        image="registry.harbour.invalid/warehouse:3",
        arguments=["run", "--select", "fees"],
    )
    ContainerOperator(
        task_id="labelled",
        image="registry.harbour.invalid/dbt:7",
        cmds=["sh", "-c"],
        arguments=["dbt run --select cargo_per_month"],
        env_vars={"MONTH_LABEL": "{{ ds_nodash }}"},
    )
    ContainerOperator(task_id="unknown_image", image="registry.harbour.invalid/tides:1", arguments=["--all"])
    HarbourDbt(
        task_id="by_subclass",
        models='calls_per_day --vars \'{min_time: "{{ ds }}", max_time: "{{ next_ds }}"}\'',
    )
    HarbourDbt(task_id="built_by_subclass", models="dues+", verb="build")
    TideReport(task_id="tides", day="{{ ds }}")
    DbtCloudRunJobOperator(task_id="cloud_nightly", job_id=7001)
    DbtCloudRunJobOperator(task_id="cloud_unknown", job_id=9999)
