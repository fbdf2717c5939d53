"""HTTP, with bounds on time, size and pages."""
