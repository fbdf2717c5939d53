"""`parity doctor`: tries a deployment out from where it runs, and changes nothing in it."""
