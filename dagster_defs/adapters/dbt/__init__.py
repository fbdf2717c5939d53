"""dbt: projects, manifests, selections, and running dbt in this process."""
