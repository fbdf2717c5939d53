"""The same dbt project as a team would set it up with dagster-dbt and dagster-airlift as they come."""
