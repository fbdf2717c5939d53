"""dbt: its projects, their manifests and selections, and running it in this process."""
