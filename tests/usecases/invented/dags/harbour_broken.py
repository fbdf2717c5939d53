"""Does not import: the package is nowhere."""

from airflow.models.dag import DAG  # noqa: F401 - so that Airflow takes it for a DAG file
from harbour_of_yesterday import everything

everything()
