"""The comparison that follows a candidate run."""
