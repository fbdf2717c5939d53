"""`parity store`: makes, fills, describes and checks the store of the record."""
