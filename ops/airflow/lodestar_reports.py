"""An Airflow DAG that calls the same command as a person: copy it to the folder of DAGs.

It needs Airflow 3 with its standard provider, in an environment of its own: Airflow and Lodestar
never share one. The variable `LODESTAR_FOLDER` of the worker names the project's folder. Which
months are due follows from the data, so nothing here depends on Airflow's own dates.
"""

import datetime as dt
import os

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

FOLDER = os.environ.get("LODESTAR_FOLDER", "/path/to/lodestar")
NOT_NOW = 75  # busy, or the month that was asked for is not due: neither a success nor a failure

with DAG(
    dag_id="lodestar_reports",
    description="Customer success reports: first look on the 1st, settled on the 6th",
    schedule="0 6 1,6 * *",
    start_date=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    catchup=False,  # the run itself makes up for missed months
    max_active_runs=1,
    default_args={"retries": 0},  # the runner repeats what is worth repeating
) as dag:
    set_up = BashOperator(
        task_id="set_up",
        bash_command="make .venv/.ready",
        cwd=FOLDER,
        append_env=True,
    )
    report = BashOperator(
        task_id="report",
        bash_command=".venv/bin/lodestar run",
        cwd=FOLDER,
        append_env=True,
        skip_on_exit_code=NOT_NOW,
        execution_timeout=dt.timedelta(hours=13),
    )
    keep = BashOperator(
        task_id="keep",
        bash_command="sh ops/keep",
        cwd=FOLDER,
        append_env=True,
    )
    set_up >> report >> keep
