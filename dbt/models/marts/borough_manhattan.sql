{{ days_of_borough('Manhattan') }}
