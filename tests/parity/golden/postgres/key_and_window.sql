SELECT 0 AS "side", "bucket", COUNT(*) AS "rows", SUM("row_hash") AS "row_sum", BIT_XOR("row_hash") AS "row_xor", SUM("key_hash") AS "key_sum", BIT_XOR("key_hash") AS "key_xor"
FROM (
SELECT "bucket", HASHTEXTEXTENDED(CAST(ROW("v0", "v1", "v2") AS TEXT), 0) AS "row_hash", HASHTEXTEXTENDED(CAST(ROW("v0") AS TEXT), 0) AS "key_hash"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", CAST("picked up" AS TIMESTAMP) AS "v1", CAST("zone" AS TEXT) COLLATE "C" AS "v2", CASE WHEN ISFINITE("picked up") THEN CAST(FLOOR(CAST(EXTRACT(epoch
FROM "picked up") AS DOUBLE PRECISION) / 3600) AS BIGINT) WHEN NOT "picked up" IS NULL THEN 1000000000000 END AS "bucket"
FROM "legacy"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00' AS TIMESTAMP) AND "picked up" < CAST('2024-03-11 00:00:00' AS TIMESTAMP)) OR "picked up" IS NULL) AS "side_rows") AS "hashed_rows"
GROUP BY "bucket"
UNION ALL SELECT 1 AS "side", "bucket", COUNT(*) AS "rows", SUM("row_hash") AS "row_sum", BIT_XOR("row_hash") AS "row_xor", SUM("key_hash") AS "key_sum", BIT_XOR("key_hash") AS "key_xor"
FROM (
SELECT "bucket", HASHTEXTEXTENDED(CAST(ROW("v0", "v1", "v2") AS TEXT), 0) AS "row_hash", HASHTEXTEXTENDED(CAST(ROW("v0") AS TEXT), 0) AS "key_hash"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", CAST("picked up" AT TIME ZONE 'UTC' AS TIMESTAMP) AS "v1", CAST("zone" AS TEXT) COLLATE "C" AS "v2", CASE WHEN ISFINITE("picked up") THEN CAST(FLOOR(CAST(EXTRACT(epoch
FROM "picked up") AS DOUBLE PRECISION) / 3600) AS BIGINT) WHEN NOT "picked up" IS NULL THEN 1000000000000 END AS "bucket"
FROM "candidate"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-11 00:00:00+00:00' AS TIMESTAMPTZ)) OR "picked up" IS NULL) AS "side_rows") AS "hashed_rows"
GROUP BY "bucket";

SELECT COUNT(*) AS "keys"
FROM (
SELECT "v0"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", CAST("picked up" AS TIMESTAMP) AS "v1", CAST("zone" AS TEXT) COLLATE "C" AS "v2"
FROM "legacy"."main"."tri""ps; --"
WHERE "picked up" >= CAST('2024-03-10 00:00:00' AS TIMESTAMP) AND "picked up" < CAST('2024-03-11 00:00:00' AS TIMESTAMP)) AS "side_rows"
WHERE NOT "v0" IS NULL
GROUP BY "v0") AS "keys";

WITH "legacy_rows" AS (
SELECT CAST("id" AS BIGINT) AS "v0", CAST("picked up" AS TIMESTAMP) AS "v1", CAST("zone" AS TEXT) COLLATE "C" AS "v2"
FROM "legacy"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00' AS TIMESTAMP) AND "picked up" < CAST('2024-03-11 00:00:00' AS TIMESTAMP)) AND ("picked up" >= CAST('2024-03-10 01:00:00' AS TIMESTAMP) AND "picked up" < CAST('2024-03-10 02:00:00' AS TIMESTAMP))),
"candidate_rows" AS (
SELECT CAST("id" AS BIGINT) AS "v0", CAST("picked up" AT TIME ZONE 'UTC' AS TIMESTAMP) AS "v1", CAST("zone" AS TEXT) COLLATE "C" AS "v2"
FROM "candidate"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-11 00:00:00+00:00' AS TIMESTAMPTZ)) AND ("picked up" >= CAST('2024-03-10 01:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-10 02:00:00+00:00' AS TIMESTAMPTZ))),
"met" AS (
SELECT "legacy_rows"."v0" AS "legacy_0", "candidate_rows"."v0" AS "candidate_0", "legacy_rows"."v1" AS "legacy_1", "candidate_rows"."v1" AS "candidate_1", "legacy_rows"."v2" AS "legacy_2", "candidate_rows"."v2" AS "candidate_2"
FROM "legacy_rows"
FULL JOIN "candidate_rows"
ON "legacy_rows"."v0" = "candidate_rows"."v0"
WHERE "legacy_rows"."v0" IS DISTINCT FROM "candidate_rows"."v0" OR "legacy_rows"."v1" IS DISTINCT FROM "candidate_rows"."v1" OR "legacy_rows"."v2" IS DISTINCT FROM "candidate_rows"."v2"),
"paired" AS (
SELECT "legacy_0", "candidate_0", "legacy_1", "candidate_1", "legacy_2", "candidate_2", "legacy_1" IS DISTINCT FROM "candidate_1" AS "changed_1", "legacy_2" IS DISTINCT FROM "candidate_2" AS "changed_2", 1 AS "copies"
FROM "met"
WHERE NOT "legacy_0" IS NULL AND NOT "candidate_0" IS NULL),
"only_legacy" AS (
SELECT "legacy_0" AS "v0", "legacy_1" AS "v1", "legacy_2" AS "v2", 1 AS "copies"
FROM "met"
WHERE "candidate_0" IS NULL),
"only_candidate" AS (
SELECT "candidate_0" AS "v0", "candidate_1" AS "v1", "candidate_2" AS "v2", 1 AS "copies"
FROM "met"
WHERE "legacy_0" IS NULL),
"counts" AS (
SELECT (
SELECT COALESCE(SUM("copies"), 0)
FROM "only_legacy") AS "only_in_legacy", (
SELECT COALESCE(SUM("copies"), 0)
FROM "only_candidate") AS "only_in_candidate", COALESCE(SUM(CASE WHEN FALSE OR "paired"."changed_1" OR "paired"."changed_2" THEN "copies" END), 0) AS "modified", COALESCE(SUM(CASE WHEN "paired"."changed_1" THEN "copies" END), 0) AS "changed_1", COALESCE(SUM(CASE WHEN "paired"."changed_2" THEN "copies" END), 0) AS "changed_2"
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
FROM 1 FOR 200) AS "candidate_2", CASE WHEN "paired"."changed_1" THEN 1 ELSE 0 END AS "differs_1", CASE WHEN "paired"."changed_2" THEN 1 ELSE 0 END AS "differs_2"
FROM "paired"
WHERE FALSE OR "paired"."changed_1" OR "paired"."changed_2"
ORDER BY "paired"."legacy_0", "paired"."candidate_0", "paired"."legacy_1", "paired"."candidate_1", "paired"."legacy_2", "paired"."candidate_2"
LIMIT 5) AS "kind_0"
UNION ALL SELECT *
FROM (
SELECT 'only_in_legacy' AS "kind", "copies", SUBSTRING(CAST("v0" AS TEXT)
FROM 1 FOR 200) AS "legacy_0", NULL AS "candidate_0", SUBSTRING(CAST("v1" AS TEXT)
FROM 1 FOR 200) || ' UTC' AS "legacy_1", NULL AS "candidate_1", SUBSTRING(CAST("v2" AS TEXT)
FROM 1 FOR 200) AS "legacy_2", NULL AS "candidate_2", 0 AS "differs_1", 0 AS "differs_2"
FROM "only_legacy"
ORDER BY "v0", "v1", "v2"
LIMIT 5) AS "kind_1"
UNION ALL SELECT *
FROM (
SELECT 'only_in_candidate' AS "kind", "copies", NULL AS "legacy_0", SUBSTRING(CAST("v0" AS TEXT)
FROM 1 FOR 200) AS "candidate_0", NULL AS "legacy_1", SUBSTRING(CAST("v1" AS TEXT)
FROM 1 FOR 200) || ' UTC' AS "candidate_1", NULL AS "legacy_2", SUBSTRING(CAST("v2" AS TEXT)
FROM 1 FOR 200) AS "candidate_2", 0 AS "differs_1", 0 AS "differs_2"
FROM "only_candidate"
ORDER BY "v0", "v1", "v2"
LIMIT 5) AS "kind_2") SELECT "counts".*, "samples".*
FROM "counts"
LEFT JOIN "samples"
ON TRUE;

