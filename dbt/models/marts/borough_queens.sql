{{ days_of_borough('Queens') }}
