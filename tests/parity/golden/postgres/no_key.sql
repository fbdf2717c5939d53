SELECT 0 AS "side", "bucket", COUNT(*) AS "rows", SUM("row_hash") AS "row_sum", BIT_XOR("row_hash") AS "row_xor"
FROM (
SELECT "bucket", HASHTEXTEXTENDED(CAST(ROW("v0", "v1") AS TEXT), 0) AS "row_hash"
FROM (
SELECT CASE WHEN "fa""re" = 0 THEN 0 ELSE "fa""re" END AS "v0", (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place")) AS "v1", HASHTEXTEXTENDED(CAST(ROW(CASE WHEN "fa""re" = 0 THEN 0 ELSE "fa""re" END, (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place"))) AS TEXT), 0) % 1024 AS "bucket"
FROM "legacy"."main"."tri""ps; --") AS "side_rows") AS "hashed_rows"
GROUP BY "bucket"
UNION ALL SELECT 1 AS "side", "bucket", COUNT(*) AS "rows", SUM("row_hash") AS "row_sum", BIT_XOR("row_hash") AS "row_xor"
FROM (
SELECT "bucket", HASHTEXTEXTENDED(CAST(ROW("v0", "v1") AS TEXT), 0) AS "row_hash"
FROM (
SELECT CASE WHEN "fa""re" = 0 THEN 0 ELSE "fa""re" END AS "v0", (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place")) AS "v1", HASHTEXTEXTENDED(CAST(ROW(CASE WHEN "fa""re" = 0 THEN 0 ELSE "fa""re" END, (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place"))) AS TEXT), 0) % 1024 AS "bucket"
FROM "candidate"."main"."tri""ps; --") AS "side_rows") AS "hashed_rows"
GROUP BY "bucket";

WITH "legacy_rows" AS (
SELECT CASE WHEN "fa""re" = 0 THEN 0 ELSE "fa""re" END AS "v0", (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place")) AS "v1"
FROM "legacy"."main"."tri""ps; --"
WHERE HASHTEXTEXTENDED(CAST(ROW(CASE WHEN "fa""re" = 0 THEN 0 ELSE "fa""re" END, (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place"))) AS TEXT), 0) % 1024 IN (475009)),
"candidate_rows" AS (
SELECT CASE WHEN "fa""re" = 0 THEN 0 ELSE "fa""re" END AS "v0", (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place")) AS "v1"
FROM "candidate"."main"."tri""ps; --"
WHERE HASHTEXTEXTENDED(CAST(ROW(CASE WHEN "fa""re" = 0 THEN 0 ELSE "fa""re" END, (
SELECT STRING_AGG(CASE WHEN NOT "items"."item"[2] IS NULL THEN CAST(TRIM_SCALE(CAST("items"."item"[2] AS DECIMAL)) AS TEXT) ELSE COALESCE("items"."item"[1], "items"."item"[3]) END, ''
ORDER BY "items"."place")
FROM REGEXP_MATCHES(CAST(CAST("extra" AS JSONB) AS TEXT), '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?)|([^"0-9-]+)', 'g') WITH ORDINALITY AS "items"("item", "place"))) AS TEXT), 0) % 1024 IN (475009)),
"counted" AS (
SELECT "v0", "v1", SUM("in_legacy") AS "in_legacy", SUM("in_candidate") AS "in_candidate"
FROM (
SELECT "v0", "v1", 1 AS "in_legacy", 0 AS "in_candidate"
FROM "legacy_rows"
UNION ALL SELECT "v0", "v1", 0 AS "in_legacy", 1 AS "in_candidate"
FROM "candidate_rows") AS "both_sides"
GROUP BY "v0", "v1"
HAVING SUM("in_legacy") <> SUM("in_candidate")),
"lost" AS (
SELECT "v0", "v1", "in_legacy" - "in_candidate" AS "copies"
FROM "counted"
WHERE "in_legacy" > "in_candidate"),
"gained" AS (
SELECT "v0", "v1", "in_candidate" - "in_legacy" AS "copies"
FROM "counted"
WHERE "in_candidate" > "in_legacy"),
"only_legacy" AS (
SELECT "own"."v0", "own"."v1", "own"."copies"
FROM "lost" AS "own"),
"only_candidate" AS (
SELECT "own"."v0", "own"."v1", "own"."copies"
FROM "gained" AS "own"),
"counts" AS (
SELECT (
SELECT COALESCE(SUM("copies"), 0)
FROM "only_legacy") AS "only_in_legacy", (
SELECT COALESCE(SUM("copies"), 0)
FROM "only_candidate") AS "only_in_candidate", (
SELECT COALESCE(SUM(CAST(HASHTEXTEXTENDED(CAST(ROW("v0") AS TEXT), 0) AS DECIMAL) * "copies"), 0)
FROM "only_legacy") - (
SELECT COALESCE(SUM(CAST(HASHTEXTEXTENDED(CAST(ROW("v0") AS TEXT), 0) AS DECIMAL) * "copies"), 0)
FROM "only_candidate") AS "digest_0", (
SELECT COALESCE(SUM(CAST(HASHTEXTEXTENDED(CAST(ROW("v1") AS TEXT), 0) AS DECIMAL) * "copies"), 0)
FROM "only_legacy") - (
SELECT COALESCE(SUM(CAST(HASHTEXTEXTENDED(CAST(ROW("v1") AS TEXT), 0) AS DECIMAL) * "copies"), 0)
FROM "only_candidate") AS "digest_1", 0 AS "modified"),
"samples" AS (
SELECT *
FROM (
SELECT 'only_in_legacy' AS "kind", "copies", '***' AS "legacy_0", NULL AS "candidate_0", SUBSTRING(CAST("v1" AS TEXT)
FROM 1 FOR 200) AS "legacy_1", NULL AS "candidate_1"
FROM "only_legacy"
ORDER BY "v0", "v1"
LIMIT 5) AS "kind_0"
UNION ALL SELECT *
FROM (
SELECT 'only_in_candidate' AS "kind", "copies", NULL AS "legacy_0", '***' AS "candidate_0", NULL AS "legacy_1", SUBSTRING(CAST("v1" AS TEXT)
FROM 1 FOR 200) AS "candidate_1"
FROM "only_candidate"
ORDER BY "v0", "v1"
LIMIT 5) AS "kind_1") SELECT "counts".*, "samples".*
FROM "counts"
LEFT JOIN "samples"
ON TRUE;

