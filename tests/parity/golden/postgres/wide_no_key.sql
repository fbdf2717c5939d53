SELECT MIN("id") AS "first", MAX("id") AS "last"
FROM "legacy"."main"."tri""ps; --";

SELECT MIN("id") AS "first", MAX("id") AS "last"
FROM "candidate"."main"."tri""ps; --";

SELECT 0 AS "side", "bucket", COUNT(*) AS "rows", SUM("row_hash") AS "row_sum", BIT_XOR("row_hash") AS "row_xor"
FROM (
SELECT "bucket", HASHTEXTEXTENDED(CAST(ROW("v0", "v1", "v2", "v3") AS TEXT), 0) AS "row_hash"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", TRIM_SCALE(CAST("fare" AS DECIMAL)) AS "v1", CAST("zone" AS TEXT) COLLATE "C" AS "v2", (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place")) AS "v3", DIV("id", 98) AS "bucket"
FROM "legacy"."main"."tri""ps; --") AS "side_rows") AS "hashed_rows"
GROUP BY "bucket"
UNION ALL SELECT 1 AS "side", "bucket", COUNT(*) AS "rows", SUM("row_hash") AS "row_sum", BIT_XOR("row_hash") AS "row_xor"
FROM (
SELECT "bucket", HASHTEXTEXTENDED(CAST(ROW("v0", "v1", "v2", "v3") AS TEXT), 0) AS "row_hash"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", TRIM_SCALE(CAST(CAST(CAST("fare" AS DOUBLE PRECISION) AS TEXT) AS DECIMAL)) AS "v1", CAST("zone" AS TEXT) COLLATE "C" AS "v2", (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place")) AS "v3", DIV("id", 98) AS "bucket"
FROM "candidate"."main"."tri""ps; --") AS "side_rows") AS "hashed_rows"
GROUP BY "bucket";

WITH "legacy_rows" AS (
SELECT HASHTEXTEXTENDED(CAST(ROW("v0", "v1", "v2", "v3") AS TEXT), 0) AS "v0"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", TRIM_SCALE(CAST("fare" AS DECIMAL)) AS "v1", CAST("zone" AS TEXT) COLLATE "C" AS "v2", (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place")) AS "v3"
FROM "legacy"."main"."tri""ps; --"
WHERE "id" >= 46550882 AND "id" < 46550980) AS "side_rows"),
"candidate_rows" AS (
SELECT HASHTEXTEXTENDED(CAST(ROW("v0", "v1", "v2", "v3") AS TEXT), 0) AS "v0"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", TRIM_SCALE(CAST(CAST(CAST("fare" AS DOUBLE PRECISION) AS TEXT) AS DECIMAL)) AS "v1", CAST("zone" AS TEXT) COLLATE "C" AS "v2", (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place")) AS "v3"
FROM "candidate"."main"."tri""ps; --"
WHERE "id" >= 46550882 AND "id" < 46550980) AS "side_rows"),
"counted" AS (
SELECT "v0", SUM("in_legacy") AS "in_legacy", SUM("in_candidate") AS "in_candidate"
FROM (
SELECT "v0", 1 AS "in_legacy", 0 AS "in_candidate"
FROM "legacy_rows"
UNION ALL SELECT "v0", 0 AS "in_legacy", 1 AS "in_candidate"
FROM "candidate_rows") AS "both_sides"
GROUP BY "v0"
HAVING SUM("in_legacy") <> SUM("in_candidate")),
"lost" AS (
SELECT "v0", "in_legacy" - "in_candidate" AS "copies"
FROM "counted"
WHERE "in_legacy" > "in_candidate"),
"gained" AS (
SELECT "v0", "in_candidate" - "in_legacy" AS "copies"
FROM "counted"
WHERE "in_candidate" > "in_legacy"),
"only_legacy" AS (
SELECT "own"."v0", "own"."copies"
FROM "lost" AS "own"),
"only_candidate" AS (
SELECT "own"."v0", "own"."copies"
FROM "gained" AS "own"),
"counts" AS (
SELECT (
SELECT COALESCE(SUM("copies"), 0)
FROM "only_legacy") AS "only_in_legacy", (
SELECT COALESCE(SUM("copies"), 0)
FROM "only_candidate") AS "only_in_candidate", 0 AS "modified"),
"samples" AS (
SELECT *
FROM (
SELECT 'only_in_legacy' AS "kind", "copies", "v0" AS "legacy_row", CAST(NULL AS BIGINT) AS "candidate_row"
FROM "only_legacy"
ORDER BY "v0"
LIMIT 5) AS "kind_0"
UNION ALL SELECT *
FROM (
SELECT 'only_in_candidate' AS "kind", "copies", CAST(NULL AS BIGINT) AS "legacy_row", "v0" AS "candidate_row"
FROM "only_candidate"
ORDER BY "v0"
LIMIT 5) AS "kind_1") SELECT "counts".*, "samples".*
FROM "counts"
LEFT JOIN "samples"
ON TRUE;

SELECT COALESCE(SUM(HASHTEXTEXTENDED(CAST(ROW("own"."v0") AS TEXT), 0)), 0) AS "digest_0", COALESCE(SUM(HASHTEXTEXTENDED(CAST(ROW("own"."v1") AS TEXT), 0)), 0) AS "digest_1", COALESCE(SUM(HASHTEXTEXTENDED(CAST(ROW("own"."v2") AS TEXT), 0)), 0) AS "digest_2", COALESCE(SUM(HASHTEXTEXTENDED(CAST(ROW("own"."v3") AS TEXT), 0)), 0) AS "digest_3"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", TRIM_SCALE(CAST("fare" AS DECIMAL)) AS "v1", CAST("zone" AS TEXT) COLLATE "C" AS "v2", (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place")) AS "v3"
FROM "legacy"."main"."tri""ps; --"
WHERE "id" >= 46550882 AND "id" < 46550980) AS "own";

SELECT COALESCE(SUM(HASHTEXTEXTENDED(CAST(ROW("own"."v0") AS TEXT), 0)), 0) AS "digest_0", COALESCE(SUM(HASHTEXTEXTENDED(CAST(ROW("own"."v1") AS TEXT), 0)), 0) AS "digest_1", COALESCE(SUM(HASHTEXTEXTENDED(CAST(ROW("own"."v2") AS TEXT), 0)), 0) AS "digest_2", COALESCE(SUM(HASHTEXTEXTENDED(CAST(ROW("own"."v3") AS TEXT), 0)), 0) AS "digest_3"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", TRIM_SCALE(CAST(CAST(CAST("fare" AS DOUBLE PRECISION) AS TEXT) AS DECIMAL)) AS "v1", CAST("zone" AS TEXT) COLLATE "C" AS "v2", (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place")) AS "v3"
FROM "candidate"."main"."tri""ps; --"
WHERE "id" >= 46550882 AND "id" < 46550980) AS "own";

SELECT "row", SUBSTRING(CAST("v0" AS TEXT)
FROM 1 FOR 200) AS "text_0", HASHTEXTEXTENDED(CAST(ROW("v0") AS TEXT), 0) AS "hash_0", SUBSTRING(CAST("v1" AS TEXT)
FROM 1 FOR 200) AS "text_1", HASHTEXTEXTENDED(CAST(ROW("v1") AS TEXT), 0) AS "hash_1", '***' AS "text_2", HASHTEXTEXTENDED(CAST(ROW("v2") AS TEXT), 0) AS "hash_2", SUBSTRING(CAST("v3" AS TEXT)
FROM 1 FOR 200) AS "text_3", HASHTEXTEXTENDED(CAST(ROW("v3") AS TEXT), 0) AS "hash_3"
FROM (
SELECT "row", (ARRAY_AGG("v0"))[1] AS "v0", (ARRAY_AGG("v1"))[1] AS "v1", (ARRAY_AGG("v2"))[1] AS "v2", (ARRAY_AGG("v3"))[1] AS "v3"
FROM (
SELECT "v0", "v1", "v2", "v3", HASHTEXTEXTENDED(CAST(ROW("v0", "v1", "v2", "v3") AS TEXT), 0) AS "row"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", TRIM_SCALE(CAST("fare" AS DECIMAL)) AS "v1", CAST("zone" AS TEXT) COLLATE "C" AS "v2", (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place")) AS "v3"
FROM "legacy"."main"."tri""ps; --"
WHERE "id" >= 46550882 AND "id" < 46550980) AS "side_rows") AS "hashed_rows"
WHERE "row" IN (7)
GROUP BY "row") AS "sampled";

