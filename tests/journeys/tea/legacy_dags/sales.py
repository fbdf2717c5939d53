"""# sales

What the shops in Germany have ordered in one day, from six to six: checked, labelled, packed and booked.

* **Waits** for the day's file of orders.
* **Express** is for days with many orders, all others go the regular way: one of the two is skipped.
* **Labels** go to the printer, so each of them once.
"""

from __future__ import annotations

import csv

import pendulum
from airflow import DAG
from airflow.decorators import task
from airflow.operators.bash import BashOperator
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from handover.proxy import install_proxies
from tea import places
from tea.pods import PodOperator

BERLIN = "Europe/Berlin"
MANY = 50
WINDOW = '{"first_day": "{{ ds }}", "next_day": "{{ data_interval_end | ds }}"}'
COUNTED = "{{ ti.xcom_pull('check')['orders'] }},{{ ti.xcom_pull('check')['kilos'] }}"
WAY = "{{ ti.xcom_pull('decide') }}"
NOTE = f"printf 'day,orders,kilos,way\\n%s\\n' {{{{ ds }}}},{COUNTED},{WAY} > $TEA_OUT/note_{{{{ ds }}}}.csv"
PACK = 'mkdir -p "$OUT" && { echo day,lot_id,kilos; tail -n +2 "$ORDERS" | cut -d, -f2-4; } > "$OUT/packed_$0.csv"'

with DAG(
    "sales",
    schedule="0 6 * * *",
    start_date=pendulum.datetime(2024, 3, 29, tz=BERLIN),
    end_date=pendulum.datetime(2024, 4, 1, 6, tz=BERLIN),
    catchup=True,
    max_active_runs=1,
):

    @task.sensor(mode="reschedule", poke_interval=2, timeout=3600)
    def arrived(day: str) -> bool:
        return places.orders_file(day).exists()

    @task
    def check(day: str) -> dict[str, int]:
        """Keeps the orders that weigh something; returns how many there are, and how much they weigh."""
        with places.orders_file(day).open() as file:
            good = [row for row in csv.DictReader(file) if int(row["kilos"]) > 0]
        with places.out_file(f"checked_{day}.csv").open("w") as file:
            writer = csv.DictWriter(file, list(good[0]))
            writer.writeheader()
            writer.writerows(good)
        return {"orders": len(good), "kilos": sum(int(row["kilos"]) for row in good)}

    @task.branch
    def decide(checked: dict[str, int]) -> str:
        return "express" if checked["orders"] > MANY else "regular"

    express, regular = (
        BashOperator(task_id=way, bash_command=f"echo {{{{ ds }}}},{way},{COUNTED} >> {places.HOME}/printer")
        for way in ("express", "regular")
    )
    note = BashOperator(
        task_id="note",
        bash_command=NOTE,
        trigger_rule="none_failed",
    )
    pack = PodOperator(
        task_id="pack",
        image="tea/pack:3",
        cmds=["/bin/sh", "-c"],
        arguments=[PACK, "{{ ds }}"],
        env_vars={
            "OUT": str(places.HOME / "out"),
            "ORDERS": f"{places.HOME}/landing/orders_{{{{ ds }}}}.csv",
        },
        trigger_rule="none_failed",
    )
    book = SQLExecuteQueryOperator(
        task_id="book",
        conn_id="tea_books",
        sql="""
            delete from books.booked where day = '{{ ds }}';
            insert into books.booked
            select day, count(*) as orders, sum(kilos) as kilos from books.orders where day = '{{ ds }}' group by day;
        """,
    )
    worth = BashOperator(
        task_id="worth",
        bash_command=f"dbt build --select sales --vars '{WINDOW}'",
        **places.DBT,
    )

    there, checked = arrived("{{ ds }}"), check("{{ ds }}")
    there >> [checked, book]
    decide(checked) >> [express, regular] >> pack
    [checked, express, regular] >> note
    [note, pack, book] >> worth

install_proxies(globals())
