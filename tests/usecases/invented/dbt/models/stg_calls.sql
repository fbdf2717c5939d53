select call_id, vessel_id, port_id, arrived_at from (
  values (1, 10, 1, timestamp '2024-03-04 05:30:00'), (2, 11, 2, timestamp '2024-03-05 23:10:00')
) as calls (call_id, vessel_id, port_id, arrived_at)
