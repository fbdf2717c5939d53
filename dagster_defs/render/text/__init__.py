"""Reports as text for a terminal, and their JSON."""
