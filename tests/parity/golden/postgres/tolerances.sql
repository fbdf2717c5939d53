SELECT 0 AS "side", "bucket", COUNT(*) AS "rows", SUM("row_hash") AS "row_sum", BIT_XOR("row_hash") AS "row_xor", SUM("key_hash") AS "key_sum", BIT_XOR("key_hash") AS "key_xor"
FROM (
SELECT "bucket", HASHTEXTEXTENDED(CAST(ROW("v0", "v1", "v2", "v3", "v4") AS TEXT), 0) AS "row_hash", HASHTEXTEXTENDED(CAST(ROW("v0") AS TEXT), 0) AS "key_hash"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", CAST("picked up" AS TIMESTAMP) AS "v1", TRIM_SCALE(CAST("fare" AS DECIMAL)) AS "v2", TRIM_SCALE(CAST("tip" AS DECIMAL)) AS "v3", "loaded" AS "v4", CASE WHEN ISFINITE("picked up") THEN CAST(FLOOR(CAST(EXTRACT(epoch
FROM "picked up") AS DOUBLE PRECISION) / 3600) AS BIGINT) WHEN NOT "picked up" IS NULL THEN 1000000000000 END AS "bucket"
FROM "legacy"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00' AS TIMESTAMP) AND "picked up" < CAST('2024-03-11 00:00:00' AS TIMESTAMP)) OR "picked up" IS NULL) AS "side_rows") AS "hashed_rows"
GROUP BY "bucket"
UNION ALL SELECT 1 AS "side", "bucket", COUNT(*) AS "rows", SUM("row_hash") AS "row_sum", BIT_XOR("row_hash") AS "row_xor", SUM("key_hash") AS "key_sum", BIT_XOR("key_hash") AS "key_xor"
FROM (
SELECT "bucket", HASHTEXTEXTENDED(CAST(ROW("v0", "v1", "v2", "v3", "v4") AS TEXT), 0) AS "row_hash", HASHTEXTEXTENDED(CAST(ROW("v0") AS TEXT), 0) AS "key_hash"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", CAST("picked up" AT TIME ZONE 'UTC' AS TIMESTAMP) AS "v1", TRIM_SCALE(CAST(CAST(CAST("fare" AS DOUBLE PRECISION) AS TEXT) AS DECIMAL)) AS "v2", TRIM_SCALE(CAST("tip" AS DECIMAL)) AS "v3", "loaded" AS "v4", CASE WHEN ISFINITE("picked up") THEN CAST(FLOOR(CAST(EXTRACT(epoch
FROM "picked up") AS DOUBLE PRECISION) / 3600) AS BIGINT) WHEN NOT "picked up" IS NULL THEN 1000000000000 END AS "bucket"
FROM "candidate"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-11 00:00:00+00:00' AS TIMESTAMPTZ)) OR "picked up" IS NULL) AS "side_rows") AS "hashed_rows"
GROUP BY "bucket";

SELECT COUNT(*) AS "keys"
FROM (
SELECT "v0"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", CAST("picked up" AS TIMESTAMP) AS "v1", TRIM_SCALE(CAST("fare" AS DECIMAL)) AS "v2", TRIM_SCALE(CAST("tip" AS DECIMAL)) AS "v3", "loaded" AS "v4"
FROM "legacy"."main"."tri""ps; --"
WHERE "picked up" >= CAST('2024-03-10 00:00:00' AS TIMESTAMP) AND "picked up" < CAST('2024-03-11 00:00:00' AS TIMESTAMP)) AS "side_rows"
WHERE NOT "v0" IS NULL
GROUP BY "v0") AS "keys";

WITH "legacy_rows" AS (
SELECT CAST("id" AS BIGINT) AS "v0", CAST("picked up" AS TIMESTAMP) AS "v1", TRIM_SCALE(CAST("fare" AS DECIMAL)) AS "v2", TRIM_SCALE(CAST("tip" AS DECIMAL)) AS "v3", "loaded" AS "v4"
FROM "legacy"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00' AS TIMESTAMP) AND "picked up" < CAST('2024-03-11 00:00:00' AS TIMESTAMP)) AND ("picked up" >= CAST('2024-03-10 01:00:00' AS TIMESTAMP) AND "picked up" < CAST('2024-03-10 02:00:00' AS TIMESTAMP))),
"candidate_rows" AS (
SELECT CAST("id" AS BIGINT) AS "v0", CAST("picked up" AT TIME ZONE 'UTC' AS TIMESTAMP) AS "v1", TRIM_SCALE(CAST(CAST(CAST("fare" AS DOUBLE PRECISION) AS TEXT) AS DECIMAL)) AS "v2", TRIM_SCALE(CAST("tip" AS DECIMAL)) AS "v3", "loaded" AS "v4"
FROM "candidate"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-11 00:00:00+00:00' AS TIMESTAMPTZ)) AND ("picked up" >= CAST('2024-03-10 01:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-10 02:00:00+00:00' AS TIMESTAMPTZ))),
"counted" AS (
SELECT "v0", "v1", "v2", "v3", "v4", SUM("in_legacy") AS "in_legacy", SUM("in_candidate") AS "in_candidate"
FROM (
SELECT "v0", "v1", "v2", "v3", "v4", 1 AS "in_legacy", 0 AS "in_candidate"
FROM "legacy_rows"
UNION ALL SELECT "v0", "v1", "v2", "v3", "v4", 0 AS "in_legacy", 1 AS "in_candidate"
FROM "candidate_rows") AS "both_sides"
GROUP BY "v0", "v1", "v2", "v3", "v4"
HAVING SUM("in_legacy") <> SUM("in_candidate")),
"lost" AS (
SELECT "v0", "v1", "v2", "v3", "v4", "in_legacy" - "in_candidate" AS "copies", SUM("in_legacy" - "in_candidate") OVER (PARTITION BY "v0"
ORDER BY "v0", COALESCE(CAST(CASE WHEN ISFINITE("v1") THEN CAST(EXTRACT(epoch
FROM "v1") * 1000000 AS BIGINT) END - (((CASE WHEN ISFINITE("v1") THEN CAST(EXTRACT(epoch
FROM "v1") * 1000000 AS BIGINT) END % 1000000) + 1000000) % 1000000) AS TEXT), CAST("v1" AS TEXT)), "v2", "v3", "v0", "v1", "v2", "v3", "v4" ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS "upto", "v0" AS "group_0"
FROM "counted"
WHERE "in_legacy" > "in_candidate"),
"gained" AS (
SELECT "v0", "v1", "v2", "v3", "v4", "in_candidate" - "in_legacy" AS "copies", SUM("in_candidate" - "in_legacy") OVER (PARTITION BY "v0"
ORDER BY "v0", COALESCE(CAST(CASE WHEN ISFINITE("v1") THEN CAST(EXTRACT(epoch
FROM "v1") * 1000000 AS BIGINT) END - (((CASE WHEN ISFINITE("v1") THEN CAST(EXTRACT(epoch
FROM "v1") * 1000000 AS BIGINT) END % 1000000) + 1000000) % 1000000) AS TEXT), CAST("v1" AS TEXT)), "v2", "v3", "v0", "v1", "v2", "v3", "v4" ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS "upto", "v0" AS "group_0"
FROM "counted"
WHERE "in_candidate" > "in_legacy"),
"paired" AS (
SELECT "lost"."v0" AS "legacy_0", "gained"."v0" AS "candidate_0", "lost"."v1" AS "legacy_1", "gained"."v1" AS "candidate_1", "lost"."v2" AS "legacy_2", "gained"."v2" AS "candidate_2", "lost"."v3" AS "legacy_3", "gained"."v3" AS "candidate_3", "lost"."v4" AS "legacy_4", "gained"."v4" AS "candidate_4", COALESCE(CAST(CASE WHEN ISFINITE("lost"."v1") THEN CAST(EXTRACT(epoch
FROM "lost"."v1") * 1000000 AS BIGINT) END - (((CASE WHEN ISFINITE("lost"."v1") THEN CAST(EXTRACT(epoch
FROM "lost"."v1") * 1000000 AS BIGINT) END % 1000000) + 1000000) % 1000000) AS TEXT), CAST("lost"."v1" AS TEXT)) IS DISTINCT FROM COALESCE(CAST(CASE WHEN ISFINITE("gained"."v1") THEN CAST(EXTRACT(epoch
FROM "gained"."v1") * 1000000 AS BIGINT) END - (((CASE WHEN ISFINITE("gained"."v1") THEN CAST(EXTRACT(epoch
FROM "gained"."v1") * 1000000 AS BIGINT) END % 1000000) + 1000000) % 1000000) AS TEXT), CAST("gained"."v1" AS TEXT)) AS "changed_1", "lost"."v2" IS DISTINCT FROM "gained"."v2" AND NOT (COALESCE(CASE WHEN NOT CAST("lost"."v2" AS DECIMAL) IN (CAST('NaN' AS DECIMAL), CAST('Infinity' AS DECIMAL), CAST('-Infinity' AS DECIMAL)) AND NOT CAST("gained"."v2" AS DECIMAL) IN (CAST('NaN' AS DECIMAL), CAST('Infinity' AS DECIMAL), CAST('-Infinity' AS DECIMAL)) THEN ABS((CAST("lost"."v2" AS DECIMAL) - CAST("gained"."v2" AS DECIMAL))) <= 0.01 END, FALSE)) AS "changed_2", "lost"."v3" IS DISTINCT FROM "gained"."v3" AND NOT (COALESCE(CASE WHEN NOT CAST("lost"."v3" AS DECIMAL) IN (CAST('NaN' AS DECIMAL), CAST('Infinity' AS DECIMAL), CAST('-Infinity' AS DECIMAL)) AND NOT CAST("gained"."v3" AS DECIMAL) IN (CAST('NaN' AS DECIMAL), CAST('Infinity' AS DECIMAL), CAST('-Infinity' AS DECIMAL)) THEN ABS((CAST("lost"."v3" AS DECIMAL) - CAST("gained"."v3" AS DECIMAL))) * 200 <= ABS(CAST("lost"."v3" AS DECIMAL)) * 3 END, FALSE)) AS "changed_3", FALSE AS "changed_4", (CASE WHEN "lost"."upto" < "gained"."upto" THEN "lost"."upto" ELSE "gained"."upto" END) - (CASE WHEN "lost"."upto" - "lost"."copies" > "gained"."upto" - "gained"."copies" THEN "lost"."upto" - "lost"."copies" ELSE "gained"."upto" - "gained"."copies" END) AS "copies"
FROM "lost"
JOIN "gained"
ON "lost"."group_0" IS NOT DISTINCT FROM "gained"."group_0" AND "lost"."upto" - "lost"."copies" < "gained"."upto" AND "gained"."upto" - "gained"."copies" < "lost"."upto"),
"only_legacy" AS (
SELECT "own"."v0", "own"."v1", "own"."v2", "own"."v3", "own"."v4", "own"."upto" - CASE WHEN "own"."upto" - "own"."copies" > COALESCE("taken"."taken", 0) THEN "own"."upto" - "own"."copies" ELSE COALESCE("taken"."taken", 0) END AS "copies"
FROM "lost" AS "own"
LEFT JOIN (
SELECT "group_0", SUM("copies") AS "taken"
FROM "gained"
GROUP BY "group_0") AS "taken"
ON "own"."group_0" IS NOT DISTINCT FROM "taken"."group_0"
WHERE ("own"."upto" - CASE WHEN "own"."upto" - "own"."copies" > COALESCE("taken"."taken", 0) THEN "own"."upto" - "own"."copies" ELSE COALESCE("taken"."taken", 0) END) > 0),
"only_candidate" AS (
SELECT "own"."v0", "own"."v1", "own"."v2", "own"."v3", "own"."v4", "own"."upto" - CASE WHEN "own"."upto" - "own"."copies" > COALESCE("taken"."taken", 0) THEN "own"."upto" - "own"."copies" ELSE COALESCE("taken"."taken", 0) END AS "copies"
FROM "gained" AS "own"
LEFT JOIN (
SELECT "group_0", SUM("copies") AS "taken"
FROM "lost"
GROUP BY "group_0") AS "taken"
ON "own"."group_0" IS NOT DISTINCT FROM "taken"."group_0"
WHERE ("own"."upto" - CASE WHEN "own"."upto" - "own"."copies" > COALESCE("taken"."taken", 0) THEN "own"."upto" - "own"."copies" ELSE COALESCE("taken"."taken", 0) END) > 0),
"counts" AS (
SELECT (
SELECT COALESCE(SUM("copies"), 0)
FROM "only_legacy") AS "only_in_legacy", (
SELECT COALESCE(SUM("copies"), 0)
FROM "only_candidate") AS "only_in_candidate", COALESCE(SUM(CASE WHEN FALSE OR "paired"."changed_1" OR "paired"."changed_2" OR "paired"."changed_3" OR "paired"."changed_4" THEN "copies" END), 0) AS "modified", COALESCE(SUM(CASE WHEN "paired"."changed_1" THEN "copies" END), 0) AS "changed_1", COALESCE(SUM(CASE WHEN NOT "paired"."changed_1" AND "legacy_1" IS DISTINCT FROM "candidate_1" THEN "copies" END), 0) AS "tolerated_1", COALESCE(SUM(CASE WHEN "paired"."changed_2" THEN "copies" END), 0) AS "changed_2", COALESCE(SUM(CASE WHEN NOT "paired"."changed_2" AND "legacy_2" IS DISTINCT FROM "candidate_2" THEN "copies" END), 0) AS "tolerated_2", COALESCE(SUM(CASE WHEN "paired"."changed_3" THEN "copies" END), 0) AS "changed_3", COALESCE(SUM(CASE WHEN NOT "paired"."changed_3" AND "legacy_3" IS DISTINCT FROM "candidate_3" THEN "copies" END), 0) AS "tolerated_3", COALESCE(SUM(CASE WHEN "paired"."changed_4" THEN "copies" END), 0) AS "changed_4", COALESCE(SUM(CASE WHEN NOT "paired"."changed_4" AND "legacy_4" IS DISTINCT FROM "candidate_4" THEN "copies" END), 0) AS "tolerated_4"
FROM "paired"),
"samples" AS (
SELECT *
FROM (
SELECT 'modified' AS "kind", "copies", SUBSTRING(CAST("paired"."legacy_0" AS TEXT)
FROM 1 FOR 200) AS "legacy_0", SUBSTRING(CAST("paired"."candidate_0" AS TEXT)
FROM 1 FOR 200) AS "candidate_0", SUBSTRING(CAST("paired"."legacy_1" AS TEXT)
FROM 1 FOR 200) || ' UTC' AS "legacy_1", SUBSTRING(CAST("paired"."candidate_1" AS TEXT)
FROM 1 FOR 200) || ' UTC' AS "candidate_1", SUBSTRING(CAST("paired"."legacy_2" AS TEXT)
FROM 1 FOR 200) AS "legacy_2", SUBSTRING(CAST("paired"."candidate_2" AS TEXT)
FROM 1 FOR 200) AS "candidate_2", SUBSTRING(CAST("paired"."legacy_3" AS TEXT)
FROM 1 FOR 200) AS "legacy_3", SUBSTRING(CAST("paired"."candidate_3" AS TEXT)
FROM 1 FOR 200) AS "candidate_3", SUBSTRING(CAST("paired"."legacy_4" AS TEXT)
FROM 1 FOR 200) AS "legacy_4", SUBSTRING(CAST("paired"."candidate_4" AS TEXT)
FROM 1 FOR 200) AS "candidate_4", CASE WHEN "paired"."changed_1" THEN 1 ELSE 0 END AS "differs_1", CASE WHEN "paired"."changed_2" THEN 1 ELSE 0 END AS "differs_2", CASE WHEN "paired"."changed_3" THEN 1 ELSE 0 END AS "differs_3", CASE WHEN "paired"."changed_4" THEN 1 ELSE 0 END AS "differs_4"
FROM "paired"
WHERE FALSE OR "paired"."changed_1" OR "paired"."changed_2" OR "paired"."changed_3" OR "paired"."changed_4"
ORDER BY "paired"."legacy_0", "paired"."candidate_0", "paired"."legacy_1", "paired"."candidate_1", "paired"."legacy_2", "paired"."candidate_2", "paired"."legacy_3", "paired"."candidate_3", "paired"."legacy_4", "paired"."candidate_4"
LIMIT 5) AS "kind_0"
UNION ALL SELECT *
FROM (
SELECT 'only_in_legacy' AS "kind", "copies", SUBSTRING(CAST("v0" AS TEXT)
FROM 1 FOR 200) AS "legacy_0", NULL AS "candidate_0", SUBSTRING(CAST("v1" AS TEXT)
FROM 1 FOR 200) || ' UTC' AS "legacy_1", NULL AS "candidate_1", SUBSTRING(CAST("v2" AS TEXT)
FROM 1 FOR 200) AS "legacy_2", NULL AS "candidate_2", SUBSTRING(CAST("v3" AS TEXT)
FROM 1 FOR 200) AS "legacy_3", NULL AS "candidate_3", SUBSTRING(CAST("v4" AS TEXT)
FROM 1 FOR 200) AS "legacy_4", NULL AS "candidate_4", 0 AS "differs_1", 0 AS "differs_2", 0 AS "differs_3", 0 AS "differs_4"
FROM "only_legacy"
ORDER BY "v0", "v1", "v2", "v3", "v4"
LIMIT 5) AS "kind_1"
UNION ALL SELECT *
FROM (
SELECT 'only_in_candidate' AS "kind", "copies", NULL AS "legacy_0", SUBSTRING(CAST("v0" AS TEXT)
FROM 1 FOR 200) AS "candidate_0", NULL AS "legacy_1", SUBSTRING(CAST("v1" AS TEXT)
FROM 1 FOR 200) || ' UTC' AS "candidate_1", NULL AS "legacy_2", SUBSTRING(CAST("v2" AS TEXT)
FROM 1 FOR 200) AS "candidate_2", NULL AS "legacy_3", SUBSTRING(CAST("v3" AS TEXT)
FROM 1 FOR 200) AS "candidate_3", NULL AS "legacy_4", SUBSTRING(CAST("v4" AS TEXT)
FROM 1 FOR 200) AS "candidate_4", 0 AS "differs_1", 0 AS "differs_2", 0 AS "differs_3", 0 AS "differs_4"
FROM "only_candidate"
ORDER BY "v0", "v1", "v2", "v3", "v4"
LIMIT 5) AS "kind_2") SELECT "counts".*, "samples".*
FROM "counts"
LEFT JOIN "samples"
ON TRUE;

