"""The demo: local servers, and the story of one DAG on its way. The product does not import it."""
