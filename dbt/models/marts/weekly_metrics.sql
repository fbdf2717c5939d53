-- A week is named by its last day, and a run builds the weeks whose last day lies in its window: with the window of
-- the previous day, a run on Monday builds the week that ended on Sunday.
{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='week_ending',
        on_schema_change='fail',
        tags=['weekly']
    )
}}

with days as (
    select
        trip_date,
        pickup_borough,
        trips,
        total_amount,
        cast(date_trunc('week', trip_date) as date) + 6 as week_ending
    from {{ ref('daily_metrics') }}
),

days_of_weeks_in_window as (
    select
        week_ending,
        trip_date,
        pickup_borough,
        trips,
        total_amount
    from days
    where
        week_ending >= cast('{{ var('start_date') }}' as date)
        and week_ending < cast('{{ var('end_date') }}' as date)
)

select
    week_ending,
    pickup_borough,
    cast(count(distinct trip_date) as bigint) as days_with_trips,
    cast(sum(trips) as bigint) as trips,
    cast(sum(total_amount) as decimal(18, 2)) as total_amount
from days_of_weeks_in_window
group by week_ending, pickup_borough
