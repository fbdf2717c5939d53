SELECT 0 AS "side", "bucket", COUNT(*) AS "rows", SUM("row_hash") AS "row_sum", BITXORAGG("row_hash") AS "row_xor"
FROM (
SELECT "bucket", HASH(HASH("v0", "v1", "v2", "v3")) AS "row_hash"
FROM (
SELECT CAST("id" AS DECIMAL(38, 0)) AS "v0", CAST(CAST("fare" AS DECIMAL(38, 2)) AS VARCHAR) AS "v1", COLLATE("zone", 'utf8') AS "v2", CAST("extra" AS VARIANT) AS "v3", HASH(HASH(CAST("id" AS DECIMAL(38, 0)), CAST(CAST("fare" AS DECIMAL(38, 2)) AS VARCHAR), COLLATE("zone", 'utf8'), CAST("extra" AS VARIANT))) % 1024 AS "bucket"
FROM "legacy"."main"."tri""ps; --") AS "side_rows") AS "hashed_rows"
GROUP BY "bucket"
UNION ALL SELECT 1 AS "side", "bucket", COUNT(*) AS "rows", SUM("row_hash") AS "row_sum", BITXORAGG("row_hash") AS "row_xor"
FROM (
SELECT "bucket", HASH(HASH("v0", "v1", "v2", "v3")) AS "row_hash"
FROM (
SELECT CAST("id" AS DECIMAL(38, 0)) AS "v0", CASE WHEN CAST(CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS VARCHAR) AS DECIMAL(38, 2)) AS VARCHAR) AS DOUBLE) = "fare" THEN CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS VARCHAR) AS DECIMAL(38, 2)) AS VARCHAR) ELSE CAST(CAST("fare" AS DOUBLE) AS VARCHAR) END AS "v1", COLLATE("zone", 'utf8') AS "v2", CAST("extra" AS VARIANT) AS "v3", HASH(HASH(CAST("id" AS DECIMAL(38, 0)), CASE WHEN CAST(CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS VARCHAR) AS DECIMAL(38, 2)) AS VARCHAR) AS DOUBLE) = "fare" THEN CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS VARCHAR) AS DECIMAL(38, 2)) AS VARCHAR) ELSE CAST(CAST("fare" AS DOUBLE) AS VARCHAR) END, COLLATE("zone", 'utf8'), CAST("extra" AS VARIANT))) % 1024 AS "bucket"
FROM "candidate"."main"."tri""ps; --") AS "side_rows") AS "hashed_rows"
GROUP BY "bucket";

WITH "legacy_rows" AS (
SELECT HASH(HASH("v0", "v1", "v2", "v3")) AS "v0"
FROM (
SELECT CAST("id" AS DECIMAL(38, 0)) AS "v0", CAST(CAST("fare" AS DECIMAL(38, 2)) AS VARCHAR) AS "v1", COLLATE("zone", 'utf8') AS "v2", CAST("extra" AS VARIANT) AS "v3"
FROM "legacy"."main"."tri""ps; --"
WHERE HASH(HASH(CAST("id" AS DECIMAL(38, 0)), CAST(CAST("fare" AS DECIMAL(38, 2)) AS VARCHAR), COLLATE("zone", 'utf8'), CAST("extra" AS VARIANT))) % 1024 IN (475009)) AS "side_rows"),
"candidate_rows" AS (
SELECT HASH(HASH("v0", "v1", "v2", "v3")) AS "v0"
FROM (
SELECT CAST("id" AS DECIMAL(38, 0)) AS "v0", CASE WHEN CAST(CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS VARCHAR) AS DECIMAL(38, 2)) AS VARCHAR) AS DOUBLE) = "fare" THEN CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS VARCHAR) AS DECIMAL(38, 2)) AS VARCHAR) ELSE CAST(CAST("fare" AS DOUBLE) AS VARCHAR) END AS "v1", COLLATE("zone", 'utf8') AS "v2", CAST("extra" AS VARIANT) AS "v3"
FROM "candidate"."main"."tri""ps; --"
WHERE HASH(HASH(CAST("id" AS DECIMAL(38, 0)), CASE WHEN CAST(CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS VARCHAR) AS DECIMAL(38, 2)) AS VARCHAR) AS DOUBLE) = "fare" THEN CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS VARCHAR) AS DECIMAL(38, 2)) AS VARCHAR) ELSE CAST(CAST("fare" AS DOUBLE) AS VARCHAR) END, COLLATE("zone", 'utf8'), CAST("extra" AS VARIANT))) % 1024 IN (475009)) AS "side_rows"),
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
SELECT 'only_in_legacy' AS "kind", "copies", "v0" AS "legacy_row", NULL AS "candidate_row"
FROM "only_legacy"
ORDER BY "v0"
LIMIT 5) AS "kind_0"
UNION ALL SELECT *
FROM (
SELECT 'only_in_candidate' AS "kind", "copies", NULL AS "legacy_row", "v0" AS "candidate_row"
FROM "only_candidate"
ORDER BY "v0"
LIMIT 5) AS "kind_1") SELECT "counts".*, "samples".*
FROM "counts"
LEFT JOIN "samples"
ON TRUE;

SELECT COALESCE(SUM(HASH(HASH("own"."v0"))), 0) AS "digest_0", COALESCE(SUM(HASH(HASH("own"."v1"))), 0) AS "digest_1", COALESCE(SUM(HASH(HASH("own"."v2"))), 0) AS "digest_2", COALESCE(SUM(HASH(HASH("own"."v3"))), 0) AS "digest_3"
FROM (
SELECT CAST("id" AS DECIMAL(38, 0)) AS "v0", CAST(CAST("fare" AS DECIMAL(38, 2)) AS VARCHAR) AS "v1", COLLATE("zone", 'utf8') AS "v2", CAST("extra" AS VARIANT) AS "v3"
FROM "legacy"."main"."tri""ps; --"
WHERE HASH(HASH(CAST("id" AS DECIMAL(38, 0)), CAST(CAST("fare" AS DECIMAL(38, 2)) AS VARCHAR), COLLATE("zone", 'utf8'), CAST("extra" AS VARIANT))) % 1024 IN (475009)) AS "own";

SELECT COALESCE(SUM(HASH(HASH("own"."v0"))), 0) AS "digest_0", COALESCE(SUM(HASH(HASH("own"."v1"))), 0) AS "digest_1", COALESCE(SUM(HASH(HASH("own"."v2"))), 0) AS "digest_2", COALESCE(SUM(HASH(HASH("own"."v3"))), 0) AS "digest_3"
FROM (
SELECT CAST("id" AS DECIMAL(38, 0)) AS "v0", CASE WHEN CAST(CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS VARCHAR) AS DECIMAL(38, 2)) AS VARCHAR) AS DOUBLE) = "fare" THEN CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS VARCHAR) AS DECIMAL(38, 2)) AS VARCHAR) ELSE CAST(CAST("fare" AS DOUBLE) AS VARCHAR) END AS "v1", COLLATE("zone", 'utf8') AS "v2", CAST("extra" AS VARIANT) AS "v3"
FROM "candidate"."main"."tri""ps; --"
WHERE HASH(HASH(CAST("id" AS DECIMAL(38, 0)), CASE WHEN CAST(CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS VARCHAR) AS DECIMAL(38, 2)) AS VARCHAR) AS DOUBLE) = "fare" THEN CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS VARCHAR) AS DECIMAL(38, 2)) AS VARCHAR) ELSE CAST(CAST("fare" AS DOUBLE) AS VARCHAR) END, COLLATE("zone", 'utf8'), CAST("extra" AS VARIANT))) % 1024 IN (475009)) AS "own";

SELECT "row", SUBSTRING(CAST("v0" AS VARCHAR), 1, 200) AS "text_0", HASH(HASH("v0")) AS "hash_0", SUBSTRING(CAST("v1" AS VARCHAR), 1, 200) AS "text_1", HASH(HASH("v1")) AS "hash_1", '***' AS "text_2", HASH(HASH("v2")) AS "hash_2", SUBSTRING(CAST("v3" AS VARCHAR), 1, 200) AS "text_3", HASH(HASH("v3")) AS "hash_3"
FROM (
SELECT "row", ANY_VALUE("v0") AS "v0", ANY_VALUE("v1") AS "v1", ANY_VALUE("v2") AS "v2", ANY_VALUE("v3") AS "v3"
FROM (
SELECT "v0", "v1", "v2", "v3", HASH(HASH("v0", "v1", "v2", "v3")) AS "row"
FROM (
SELECT CAST("id" AS DECIMAL(38, 0)) AS "v0", CAST(CAST("fare" AS DECIMAL(38, 2)) AS VARCHAR) AS "v1", COLLATE("zone", 'utf8') AS "v2", CAST("extra" AS VARIANT) AS "v3"
FROM "legacy"."main"."tri""ps; --"
WHERE HASH(HASH(CAST("id" AS DECIMAL(38, 0)), CAST(CAST("fare" AS DECIMAL(38, 2)) AS VARCHAR), COLLATE("zone", 'utf8'), CAST("extra" AS VARIANT))) % 1024 IN (475009)) AS "side_rows") AS "hashed_rows"
WHERE "row" IN (7)
GROUP BY "row") AS "sampled";

