"""Containers that do a task's work: on Docker and on Kubernetes, each behind an optional package of its own."""
