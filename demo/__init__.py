"""The demo: local servers, and the story of migrating one DAG. The product does not import it."""
