#!/bin/sh
# The environment's startup script: MWAA takes no other variables for its tasks. The connection dagster_default is a
# secret of AWS Secrets Manager, airflow/connections/dagster_default.
export PARITY_CHANNEL=variable
