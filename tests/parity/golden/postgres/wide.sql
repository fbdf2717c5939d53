SELECT 0 AS "side", "bucket", COUNT(*) AS "rows", SUM("row_hash") AS "row_sum", BIT_XOR("row_hash") AS "row_xor", SUM("key_hash") AS "key_sum", BIT_XOR("key_hash") AS "key_xor"
FROM (
SELECT "bucket", HASHTEXTEXTENDED(CAST(ROW("v0", "v1", "v2", "v3", "v4", "v5", "v6") AS TEXT), 0) AS "row_hash", HASHTEXTEXTENDED(CAST(ROW("v0") AS TEXT), 0) AS "key_hash"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", CAST("picked up" AS TIMESTAMP) AS "v1", TRIM_SCALE(CAST("fare" AS DECIMAL)) AS "v2", TRIM_SCALE(CAST("tip" AS DECIMAL)) AS "v3", CAST("zone" AS TEXT) COLLATE "C" AS "v4", "loaded" AS "v5", (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place")) AS "v6", CASE WHEN ISFINITE("picked up") THEN CAST(FLOOR(CAST(EXTRACT(epoch
FROM "picked up") AS DOUBLE PRECISION) / 3600) AS BIGINT) WHEN NOT "picked up" IS NULL THEN 1000000000000 END AS "bucket"
FROM "legacy"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00' AS TIMESTAMP) AND "picked up" < CAST('2024-03-11 00:00:00' AS TIMESTAMP)) OR "picked up" IS NULL) AS "side_rows") AS "hashed_rows"
GROUP BY "bucket"
UNION ALL SELECT 1 AS "side", "bucket", COUNT(*) AS "rows", SUM("row_hash") AS "row_sum", BIT_XOR("row_hash") AS "row_xor", SUM("key_hash") AS "key_sum", BIT_XOR("key_hash") AS "key_xor"
FROM (
SELECT "bucket", HASHTEXTEXTENDED(CAST(ROW("v0", "v1", "v2", "v3", "v4", "v5", "v6") AS TEXT), 0) AS "row_hash", HASHTEXTEXTENDED(CAST(ROW("v0") AS TEXT), 0) AS "key_hash"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", CAST("picked up" AT TIME ZONE 'UTC' AS TIMESTAMP) AS "v1", TRIM_SCALE(CAST(CAST(CAST("fare" AS DOUBLE PRECISION) AS TEXT) AS DECIMAL)) AS "v2", TRIM_SCALE(CAST("tip" AS DECIMAL)) AS "v3", CAST("zone" AS TEXT) COLLATE "C" AS "v4", "loaded" AS "v5", (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place")) AS "v6", CASE WHEN ISFINITE("picked up") THEN CAST(FLOOR(CAST(EXTRACT(epoch
FROM "picked up") AS DOUBLE PRECISION) / 3600) AS BIGINT) WHEN NOT "picked up" IS NULL THEN 1000000000000 END AS "bucket"
FROM "candidate"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-11 00:00:00+00:00' AS TIMESTAMPTZ)) OR "picked up" IS NULL) AS "side_rows") AS "hashed_rows"
GROUP BY "bucket";

SELECT COUNT(*) AS "keys"
FROM (
SELECT "v0"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", CAST("picked up" AS TIMESTAMP) AS "v1", TRIM_SCALE(CAST("fare" AS DECIMAL)) AS "v2", TRIM_SCALE(CAST("tip" AS DECIMAL)) AS "v3", CAST("zone" AS TEXT) COLLATE "C" AS "v4", "loaded" AS "v5", (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place")) AS "v6"
FROM "legacy"."main"."tri""ps; --"
WHERE "picked up" >= CAST('2024-03-10 00:00:00' AS TIMESTAMP) AND "picked up" < CAST('2024-03-11 00:00:00' AS TIMESTAMP)) AS "side_rows"
WHERE NOT "v0" IS NULL
GROUP BY "v0") AS "keys";

WITH "legacy_rows" AS (
SELECT "v0" AS "v0", "v5" AS "v1", HASHTEXTEXTENDED(CAST(ROW("v1", "v2", "v3", "v4", "v6") AS TEXT), 0) AS "v2", HASHTEXTEXTENDED(CAST(ROW("v0", "v1", "v2", "v3", "v4", "v5", "v6") AS TEXT), 0) AS "v3"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", CAST("picked up" AS TIMESTAMP) AS "v1", TRIM_SCALE(CAST("fare" AS DECIMAL)) AS "v2", TRIM_SCALE(CAST("tip" AS DECIMAL)) AS "v3", CAST("zone" AS TEXT) COLLATE "C" AS "v4", "loaded" AS "v5", (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place")) AS "v6"
FROM "legacy"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00' AS TIMESTAMP) AND "picked up" < CAST('2024-03-11 00:00:00' AS TIMESTAMP)) AND ("picked up" >= CAST('2024-03-10 01:00:00' AS TIMESTAMP) AND "picked up" < CAST('2024-03-10 02:00:00' AS TIMESTAMP))) AS "side_rows"),
"candidate_rows" AS (
SELECT "v0" AS "v0", "v5" AS "v1", HASHTEXTEXTENDED(CAST(ROW("v1", "v2", "v3", "v4", "v6") AS TEXT), 0) AS "v2", HASHTEXTEXTENDED(CAST(ROW("v0", "v1", "v2", "v3", "v4", "v5", "v6") AS TEXT), 0) AS "v3"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", CAST("picked up" AT TIME ZONE 'UTC' AS TIMESTAMP) AS "v1", TRIM_SCALE(CAST(CAST(CAST("fare" AS DOUBLE PRECISION) AS TEXT) AS DECIMAL)) AS "v2", TRIM_SCALE(CAST("tip" AS DECIMAL)) AS "v3", CAST("zone" AS TEXT) COLLATE "C" AS "v4", "loaded" AS "v5", (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place")) AS "v6"
FROM "candidate"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-11 00:00:00+00:00' AS TIMESTAMPTZ)) AND ("picked up" >= CAST('2024-03-10 01:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-10 02:00:00+00:00' AS TIMESTAMPTZ))) AS "side_rows"),
"met" AS (
SELECT "legacy_rows"."v0" AS "legacy_0", "candidate_rows"."v0" AS "candidate_0", "legacy_rows"."v1" AS "legacy_1", "candidate_rows"."v1" AS "candidate_1", "legacy_rows"."v2" AS "legacy_2", "candidate_rows"."v2" AS "candidate_2", "legacy_rows"."v3" AS "legacy_3", "candidate_rows"."v3" AS "candidate_3"
FROM "legacy_rows"
FULL JOIN "candidate_rows"
ON "legacy_rows"."v0" = "candidate_rows"."v0"
WHERE "legacy_rows"."v0" IS DISTINCT FROM "candidate_rows"."v0" OR "legacy_rows"."v1" IS DISTINCT FROM "candidate_rows"."v1" OR "legacy_rows"."v2" IS DISTINCT FROM "candidate_rows"."v2" OR "legacy_rows"."v3" IS DISTINCT FROM "candidate_rows"."v3"),
"paired" AS (
SELECT "legacy_0", "candidate_0", "legacy_1", "candidate_1", "legacy_2", "candidate_2", "legacy_3", "candidate_3", FALSE AS "changed_1", "legacy_2" IS DISTINCT FROM "candidate_2" AS "changed_2", FALSE AS "changed_3", 1 AS "copies"
FROM "met"
WHERE NOT "legacy_0" IS NULL AND NOT "candidate_0" IS NULL),
"only_legacy" AS (
SELECT "legacy_0" AS "v0", "legacy_1" AS "v1", "legacy_2" AS "v2", "legacy_3" AS "v3", 1 AS "copies"
FROM "met"
WHERE "candidate_0" IS NULL),
"only_candidate" AS (
SELECT "candidate_0" AS "v0", "candidate_1" AS "v1", "candidate_2" AS "v2", "candidate_3" AS "v3", 1 AS "copies"
FROM "met"
WHERE "legacy_0" IS NULL),
"counts" AS (
SELECT (
SELECT COALESCE(SUM("copies"), 0)
FROM "only_legacy") AS "only_in_legacy", (
SELECT COALESCE(SUM("copies"), 0)
FROM "only_candidate") AS "only_in_candidate", COALESCE(SUM(CASE WHEN FALSE OR "paired"."changed_1" OR "paired"."changed_2" OR "paired"."changed_3" THEN "copies" END), 0) AS "modified", COALESCE(SUM(CASE WHEN "paired"."changed_1" THEN "copies" END), 0) AS "changed_1", COALESCE(SUM(CASE WHEN NOT "paired"."changed_1" AND "legacy_1" IS DISTINCT FROM "candidate_1" THEN "copies" END), 0) AS "tolerated_1", COALESCE(SUM(CASE WHEN "paired"."changed_2" THEN "copies" END), 0) AS "changed_2", COALESCE(SUM(CASE WHEN "paired"."changed_3" THEN "copies" END), 0) AS "changed_3", COALESCE(SUM(CASE WHEN NOT "paired"."changed_3" AND "legacy_3" IS DISTINCT FROM "candidate_3" THEN "copies" END), 0) AS "tolerated_3"
FROM "paired"),
"samples" AS (
SELECT *
FROM (
SELECT 'modified' AS "kind", "copies", "paired"."legacy_3" AS "legacy_row", "paired"."candidate_3" AS "candidate_row", CASE WHEN "paired"."changed_1" THEN 1 ELSE 0 END AS "beyond_5"
FROM "paired"
WHERE FALSE OR "paired"."changed_1" OR "paired"."changed_2" OR "paired"."changed_3"
ORDER BY "paired"."legacy_0", "paired"."legacy_3", "paired"."candidate_3"
LIMIT 5) AS "kind_0"
UNION ALL SELECT *
FROM (
SELECT 'only_in_legacy' AS "kind", "copies", "v3" AS "legacy_row", CAST(NULL AS BIGINT) AS "candidate_row", 0 AS "beyond_5"
FROM "only_legacy"
ORDER BY "v0", "v3"
LIMIT 5) AS "kind_1"
UNION ALL SELECT *
FROM (
SELECT 'only_in_candidate' AS "kind", "copies", CAST(NULL AS BIGINT) AS "legacy_row", "v3" AS "candidate_row", 0 AS "beyond_5"
FROM "only_candidate"
ORDER BY "v0", "v3"
LIMIT 5) AS "kind_2") SELECT "counts".*, "samples".*
FROM "counts"
LEFT JOIN "samples"
ON TRUE;

SELECT COALESCE(SUM(HASHTEXTEXTENDED(CAST(ROW("own"."v0", "own"."v1") AS TEXT), 0)), 0) AS "digest_1", COALESCE(SUM(HASHTEXTEXTENDED(CAST(ROW("own"."v0", "own"."v2") AS TEXT), 0)), 0) AS "digest_2", COALESCE(SUM(HASHTEXTEXTENDED(CAST(ROW("own"."v0", "own"."v3") AS TEXT), 0)), 0) AS "digest_3", COALESCE(SUM(HASHTEXTEXTENDED(CAST(ROW("own"."v0", "own"."v4") AS TEXT), 0)), 0) AS "digest_4", COALESCE(SUM(HASHTEXTEXTENDED(CAST(ROW("own"."v0", "own"."v6") AS TEXT), 0)), 0) AS "digest_6"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", CAST("picked up" AS TIMESTAMP) AS "v1", TRIM_SCALE(CAST("fare" AS DECIMAL)) AS "v2", TRIM_SCALE(CAST("tip" AS DECIMAL)) AS "v3", CAST("zone" AS TEXT) COLLATE "C" AS "v4", "loaded" AS "v5", (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place")) AS "v6"
FROM "legacy"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00' AS TIMESTAMP) AND "picked up" < CAST('2024-03-11 00:00:00' AS TIMESTAMP)) AND ("picked up" >= CAST('2024-03-10 01:00:00' AS TIMESTAMP) AND "picked up" < CAST('2024-03-10 02:00:00' AS TIMESTAMP))) AS "own"
JOIN (
SELECT CAST("id" AS BIGINT) AS "v0", CAST("picked up" AT TIME ZONE 'UTC' AS TIMESTAMP) AS "v1", TRIM_SCALE(CAST(CAST(CAST("fare" AS DOUBLE PRECISION) AS TEXT) AS DECIMAL)) AS "v2", TRIM_SCALE(CAST("tip" AS DECIMAL)) AS "v3", CAST("zone" AS TEXT) COLLATE "C" AS "v4", "loaded" AS "v5", (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place")) AS "v6"
FROM "candidate"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-11 00:00:00+00:00' AS TIMESTAMPTZ)) AND ("picked up" >= CAST('2024-03-10 01:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-10 02:00:00+00:00' AS TIMESTAMPTZ))) AS "partner"
ON "own"."v0" = "partner"."v0";

SELECT COALESCE(SUM(HASHTEXTEXTENDED(CAST(ROW("own"."v0", "own"."v1") AS TEXT), 0)), 0) AS "digest_1", COALESCE(SUM(HASHTEXTEXTENDED(CAST(ROW("own"."v0", "own"."v2") AS TEXT), 0)), 0) AS "digest_2", COALESCE(SUM(HASHTEXTEXTENDED(CAST(ROW("own"."v0", "own"."v3") AS TEXT), 0)), 0) AS "digest_3", COALESCE(SUM(HASHTEXTEXTENDED(CAST(ROW("own"."v0", "own"."v4") AS TEXT), 0)), 0) AS "digest_4", COALESCE(SUM(HASHTEXTEXTENDED(CAST(ROW("own"."v0", "own"."v6") AS TEXT), 0)), 0) AS "digest_6"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", CAST("picked up" AT TIME ZONE 'UTC' AS TIMESTAMP) AS "v1", TRIM_SCALE(CAST(CAST(CAST("fare" AS DOUBLE PRECISION) AS TEXT) AS DECIMAL)) AS "v2", TRIM_SCALE(CAST("tip" AS DECIMAL)) AS "v3", CAST("zone" AS TEXT) COLLATE "C" AS "v4", "loaded" AS "v5", (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place")) AS "v6"
FROM "candidate"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-11 00:00:00+00:00' AS TIMESTAMPTZ)) AND ("picked up" >= CAST('2024-03-10 01:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-10 02:00:00+00:00' AS TIMESTAMPTZ))) AS "own"
JOIN (
SELECT CAST("id" AS BIGINT) AS "v0", CAST("picked up" AS TIMESTAMP) AS "v1", TRIM_SCALE(CAST("fare" AS DECIMAL)) AS "v2", TRIM_SCALE(CAST("tip" AS DECIMAL)) AS "v3", CAST("zone" AS TEXT) COLLATE "C" AS "v4", "loaded" AS "v5", (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place")) AS "v6"
FROM "legacy"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00' AS TIMESTAMP) AND "picked up" < CAST('2024-03-11 00:00:00' AS TIMESTAMP)) AND ("picked up" >= CAST('2024-03-10 01:00:00' AS TIMESTAMP) AND "picked up" < CAST('2024-03-10 02:00:00' AS TIMESTAMP))) AS "partner"
ON "own"."v0" = "partner"."v0";

SELECT COALESCE(SUM(CASE WHEN "legacy_rows"."v1" IS DISTINCT FROM "candidate_rows"."v1" THEN 1 END), 0) AS "changed_1", COALESCE(SUM(CASE WHEN "legacy_rows"."v2" IS DISTINCT FROM "candidate_rows"."v2" THEN 1 END), 0) AS "changed_2"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", CAST("picked up" AS TIMESTAMP) AS "v1", TRIM_SCALE(CAST("fare" AS DECIMAL)) AS "v2", TRIM_SCALE(CAST("tip" AS DECIMAL)) AS "v3", CAST("zone" AS TEXT) COLLATE "C" AS "v4", "loaded" AS "v5", (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place")) AS "v6"
FROM "legacy"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00' AS TIMESTAMP) AND "picked up" < CAST('2024-03-11 00:00:00' AS TIMESTAMP)) AND ("picked up" >= CAST('2024-03-10 01:00:00' AS TIMESTAMP) AND "picked up" < CAST('2024-03-10 02:00:00' AS TIMESTAMP))) AS "legacy_rows"
JOIN (
SELECT CAST("id" AS BIGINT) AS "v0", CAST("picked up" AT TIME ZONE 'UTC' AS TIMESTAMP) AS "v1", TRIM_SCALE(CAST(CAST(CAST("fare" AS DOUBLE PRECISION) AS TEXT) AS DECIMAL)) AS "v2", TRIM_SCALE(CAST("tip" AS DECIMAL)) AS "v3", CAST("zone" AS TEXT) COLLATE "C" AS "v4", "loaded" AS "v5", (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place")) AS "v6"
FROM "candidate"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-11 00:00:00+00:00' AS TIMESTAMPTZ)) AND ("picked up" >= CAST('2024-03-10 01:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-10 02:00:00+00:00' AS TIMESTAMPTZ))) AS "candidate_rows"
ON "legacy_rows"."v0" = "candidate_rows"."v0";

SELECT COALESCE(SUM(CASE WHEN "legacy_rows"."v3" IS DISTINCT FROM "candidate_rows"."v3" THEN 1 END), 0) AS "changed_3", COALESCE(SUM(CASE WHEN "legacy_rows"."v4" IS DISTINCT FROM "candidate_rows"."v4" THEN 1 END), 0) AS "changed_4"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", CAST("picked up" AS TIMESTAMP) AS "v1", TRIM_SCALE(CAST("fare" AS DECIMAL)) AS "v2", TRIM_SCALE(CAST("tip" AS DECIMAL)) AS "v3", CAST("zone" AS TEXT) COLLATE "C" AS "v4", "loaded" AS "v5", (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place")) AS "v6"
FROM "legacy"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00' AS TIMESTAMP) AND "picked up" < CAST('2024-03-11 00:00:00' AS TIMESTAMP)) AND ("picked up" >= CAST('2024-03-10 01:00:00' AS TIMESTAMP) AND "picked up" < CAST('2024-03-10 02:00:00' AS TIMESTAMP))) AS "legacy_rows"
JOIN (
SELECT CAST("id" AS BIGINT) AS "v0", CAST("picked up" AT TIME ZONE 'UTC' AS TIMESTAMP) AS "v1", TRIM_SCALE(CAST(CAST(CAST("fare" AS DOUBLE PRECISION) AS TEXT) AS DECIMAL)) AS "v2", TRIM_SCALE(CAST("tip" AS DECIMAL)) AS "v3", CAST("zone" AS TEXT) COLLATE "C" AS "v4", "loaded" AS "v5", (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place")) AS "v6"
FROM "candidate"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-11 00:00:00+00:00' AS TIMESTAMPTZ)) AND ("picked up" >= CAST('2024-03-10 01:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-10 02:00:00+00:00' AS TIMESTAMPTZ))) AS "candidate_rows"
ON "legacy_rows"."v0" = "candidate_rows"."v0";

SELECT COALESCE(SUM(CASE WHEN "legacy_rows"."v6" IS DISTINCT FROM "candidate_rows"."v6" THEN 1 END), 0) AS "changed_6"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", CAST("picked up" AS TIMESTAMP) AS "v1", TRIM_SCALE(CAST("fare" AS DECIMAL)) AS "v2", TRIM_SCALE(CAST("tip" AS DECIMAL)) AS "v3", CAST("zone" AS TEXT) COLLATE "C" AS "v4", "loaded" AS "v5", (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place")) AS "v6"
FROM "legacy"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00' AS TIMESTAMP) AND "picked up" < CAST('2024-03-11 00:00:00' AS TIMESTAMP)) AND ("picked up" >= CAST('2024-03-10 01:00:00' AS TIMESTAMP) AND "picked up" < CAST('2024-03-10 02:00:00' AS TIMESTAMP))) AS "legacy_rows"
JOIN (
SELECT CAST("id" AS BIGINT) AS "v0", CAST("picked up" AT TIME ZONE 'UTC' AS TIMESTAMP) AS "v1", TRIM_SCALE(CAST(CAST(CAST("fare" AS DOUBLE PRECISION) AS TEXT) AS DECIMAL)) AS "v2", TRIM_SCALE(CAST("tip" AS DECIMAL)) AS "v3", CAST("zone" AS TEXT) COLLATE "C" AS "v4", "loaded" AS "v5", (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place")) AS "v6"
FROM "candidate"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-11 00:00:00+00:00' AS TIMESTAMPTZ)) AND ("picked up" >= CAST('2024-03-10 01:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-10 02:00:00+00:00' AS TIMESTAMPTZ))) AS "candidate_rows"
ON "legacy_rows"."v0" = "candidate_rows"."v0";

SELECT "row", SUBSTRING(CAST("v0" AS TEXT)
FROM 1 FOR 200) AS "text_0", HASHTEXTEXTENDED(CAST(ROW("v0") AS TEXT), 0) AS "hash_0", SUBSTRING(CAST("v1" AS TEXT)
FROM 1 FOR 200) || ' UTC' AS "text_1", HASHTEXTEXTENDED(CAST(ROW("v1") AS TEXT), 0) AS "hash_1", SUBSTRING(CAST("v2" AS TEXT)
FROM 1 FOR 200) AS "text_2", HASHTEXTEXTENDED(CAST(ROW("v2") AS TEXT), 0) AS "hash_2", SUBSTRING(CAST("v3" AS TEXT)
FROM 1 FOR 200) AS "text_3", HASHTEXTEXTENDED(CAST(ROW("v3") AS TEXT), 0) AS "hash_3", SUBSTRING(CAST("v4" AS TEXT)
FROM 1 FOR 200) AS "text_4", HASHTEXTEXTENDED(CAST(ROW("v4") AS TEXT), 0) AS "hash_4", SUBSTRING(CAST("v5" AS TEXT)
FROM 1 FOR 200) AS "text_5", HASHTEXTEXTENDED(CAST(ROW("v5") AS TEXT), 0) AS "hash_5", SUBSTRING(CAST("v6" AS TEXT)
FROM 1 FOR 200) AS "text_6", HASHTEXTEXTENDED(CAST(ROW("v6") AS TEXT), 0) AS "hash_6"
FROM (
SELECT "row", (ARRAY_AGG("v0"))[1] AS "v0", (ARRAY_AGG("v1"))[1] AS "v1", (ARRAY_AGG("v2"))[1] AS "v2", (ARRAY_AGG("v3"))[1] AS "v3", (ARRAY_AGG("v4"))[1] AS "v4", (ARRAY_AGG("v5"))[1] AS "v5", (ARRAY_AGG("v6"))[1] AS "v6"
FROM (
SELECT "v0", "v1", "v2", "v3", "v4", "v5", "v6", HASHTEXTEXTENDED(CAST(ROW("v0", "v1", "v2", "v3", "v4", "v5", "v6") AS TEXT), 0) AS "row"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", CAST("picked up" AS TIMESTAMP) AS "v1", TRIM_SCALE(CAST("fare" AS DECIMAL)) AS "v2", TRIM_SCALE(CAST("tip" AS DECIMAL)) AS "v3", CAST("zone" AS TEXT) COLLATE "C" AS "v4", "loaded" AS "v5", (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place")) AS "v6"
FROM "legacy"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00' AS TIMESTAMP) AND "picked up" < CAST('2024-03-11 00:00:00' AS TIMESTAMP)) AND ("picked up" >= CAST('2024-03-10 01:00:00' AS TIMESTAMP) AND "picked up" < CAST('2024-03-10 02:00:00' AS TIMESTAMP))) AS "side_rows") AS "hashed_rows"
WHERE "row" IN (7)
GROUP BY "row") AS "sampled";

