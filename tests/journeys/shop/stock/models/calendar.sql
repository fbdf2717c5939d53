select cast(day as date) as day, dayofweek(day) in (0, 6) as is_weekend
from unnest(generate_series(timestamp '2024-03-01', timestamp '2024-03-31', interval 1 day)) as those (day)
