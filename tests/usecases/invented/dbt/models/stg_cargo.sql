select cargo_id, call_id, tonnes from (values (1, 1, 20.5), (2, 2, 7.25)) as cargo (cargo_id, call_id, tonnes)
