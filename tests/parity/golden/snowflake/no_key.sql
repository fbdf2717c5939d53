SELECT 0 AS "side", "bucket", COUNT(*) AS "rows", SUM("row_hash") AS "row_sum", BITXORAGG("row_hash") AS "row_xor"
FROM (
SELECT "bucket", HASH(HASH("v0", "v1")) AS "row_hash"
FROM (
SELECT "fa""re" AS "v0", CAST("extra" AS VARIANT) AS "v1", HASH(HASH("fa""re", CAST("extra" AS VARIANT))) % 1024 AS "bucket"
FROM "legacy"."main"."tri""ps; --") AS "side_rows") AS "hashed_rows"
GROUP BY "bucket"
UNION ALL SELECT 1 AS "side", "bucket", COUNT(*) AS "rows", SUM("row_hash") AS "row_sum", BITXORAGG("row_hash") AS "row_xor"
FROM (
SELECT "bucket", HASH(HASH("v0", "v1")) AS "row_hash"
FROM (
SELECT "fa""re" AS "v0", CAST("extra" AS VARIANT) AS "v1", HASH(HASH("fa""re", CAST("extra" AS VARIANT))) % 1024 AS "bucket"
FROM "candidate"."main"."tri""ps; --") AS "side_rows") AS "hashed_rows"
GROUP BY "bucket";

WITH "legacy_rows" AS (
SELECT "fa""re" AS "v0", CAST("extra" AS VARIANT) AS "v1"
FROM "legacy"."main"."tri""ps; --"
WHERE HASH(HASH("fa""re", CAST("extra" AS VARIANT))) % 1024 IN (475009)),
"candidate_rows" AS (
SELECT "fa""re" AS "v0", CAST("extra" AS VARIANT) AS "v1"
FROM "candidate"."main"."tri""ps; --"
WHERE HASH(HASH("fa""re", CAST("extra" AS VARIANT))) % 1024 IN (475009)),
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
SELECT COALESCE(SUM(HASH(HASH("v0")) * "copies"), 0)
FROM "only_legacy") - (
SELECT COALESCE(SUM(HASH(HASH("v0")) * "copies"), 0)
FROM "only_candidate") AS "digest_0", (
SELECT COALESCE(SUM(HASH(HASH("v1")) * "copies"), 0)
FROM "only_legacy") - (
SELECT COALESCE(SUM(HASH(HASH("v1")) * "copies"), 0)
FROM "only_candidate") AS "digest_1", 0 AS "modified"),
"samples" AS (
SELECT *
FROM (
SELECT 'only_in_legacy' AS "kind", "copies", '***' AS "legacy_0", NULL AS "candidate_0", SUBSTRING(CAST("v1" AS VARCHAR), 1, 200) AS "legacy_1", NULL AS "candidate_1"
FROM "only_legacy"
ORDER BY "v0", "v1"
LIMIT 5) AS "kind_0"
UNION ALL SELECT *
FROM (
SELECT 'only_in_candidate' AS "kind", "copies", NULL AS "legacy_0", '***' AS "candidate_0", NULL AS "legacy_1", SUBSTRING(CAST("v1" AS VARCHAR), 1, 200) AS "candidate_1"
FROM "only_candidate"
ORDER BY "v0", "v1"
LIMIT 5) AS "kind_1") SELECT "counts".*, "samples".*
FROM "counts"
LEFT JOIN "samples"
ON TRUE;

