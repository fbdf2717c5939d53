"""`parity rehearse`: runs both sides of a window in a separate folder."""
