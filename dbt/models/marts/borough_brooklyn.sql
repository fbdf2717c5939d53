{{ days_of_borough('Brooklyn') }}
