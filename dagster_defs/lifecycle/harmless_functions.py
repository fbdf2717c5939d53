"""Functions of the warehouses that only compute, beside those that sqlglot knows by itself."""

from __future__ import annotations

# A function of the same name in a team's schema cannot be meant: a candidate's session looks for names in the
# warehouse's own catalog and in the candidate's schema only.
_NAMES = """
age any_value array_agg array_append array_cat array_construct array_fill array_length array_ndims
array_position array_positions array_prepend array_remove array_replace array_size array_to_string array_upper
ascii asin atan bit_and bit_count bit_or bit_xor bool_and bool_or btrim cardinality cbrt ceiling char_length
character_length chr clock_timestamp concat_ws convert_from cosh crc32 current_setting date_bin date_part
dateadd datediff decode degrees div encode epoch epoch_ms erf every factorial format gcd gen_random_uuid
generate_series generate_subscripts get_bit get_byte greatest hash hashtext iff initcap isfinite json_agg
json_array_elements json_array_elements_text json_array_length json_build_array json_build_object json_each
json_each_text json_extract_path json_extract_path_text json_object_agg json_object_keys json_strip_nulls
json_typeof jsonb_agg jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array
jsonb_build_object jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_insert
jsonb_object_agg jsonb_object_keys jsonb_path_query jsonb_set jsonb_strip_nulls jsonb_to_record jsonb_typeof
justify_days justify_hours justify_interval last_day lcm least list_value log10 lower_inc lpad ltrim make_date
make_interval make_time make_timestamp make_timestamptz md5 min_scale mod mode normalize now num_nonnulls
num_nulls numrange nvl nvl2 object_construct octet_length overlay parse_ident percent_rank pg_typeof pi position
power quote_ident quote_literal quote_nullable radians random range regexp_count regexp_instr regexp_like
regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr repeat
replace reverse right round row_to_json rpad rtrim scale sha224 sha256 sha384 sha512 sign sinh split_part sqrt
starts_with statement_timestamp string_agg string_split string_to_array strpos strptime struct_pack substr
substring timeofday to_array to_ascii to_char to_date to_double to_hex to_json to_jsonb to_number to_time
to_timestamp to_tsquery to_tsvector to_variant transaction_timestamp translate trim_array trim_scale trunc
try_cast try_parse_json tsrange tstzrange unnest upper_inc uuid_string version width_bucket zeroifnull
"""
HARMLESS = frozenset(_NAMES.split())
