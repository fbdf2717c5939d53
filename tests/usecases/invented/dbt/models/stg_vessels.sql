select vessel_id, vessel_name from (values (10, 'Anke'), (11, 'Boje')) as vessels (vessel_id, vessel_name)
