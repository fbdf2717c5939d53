#!/bin/sh
dbt run --vars "{day: {{ ds }}}"
