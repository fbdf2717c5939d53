SELECT 0 AS "side", "bucket", COUNT(*) AS "rows", SUM("row_hash") AS "row_sum", BITXORAGG("row_hash") AS "row_xor", SUM("key_hash") AS "key_sum", BITXORAGG("key_hash") AS "key_xor"
FROM (
SELECT "bucket", HASH(HASH("v0", "v1", "v2", "v3", "v4", "v5", "v6")) AS "row_hash", HASH(HASH("v0")) AS "key_hash"
FROM (
SELECT CAST("id" AS DECIMAL(38, 0)) AS "v0", CAST("picked up" AS TIMESTAMPNTZ) AS "v1", CAST(CAST("fare" AS DECIMAL(38, 2)) AS VARCHAR) AS "v2", CAST("tip" AS DECIMAL(12, 4)) AS "v3", COLLATE("zone", 'utf8') AS "v4", "loaded" AS "v5", CAST("extra" AS VARIANT) AS "v6", FLOOR(DATE_PART(EPOCH_SECOND, "picked up") / 3600) AS "bucket"
FROM "legacy"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00' AS TIMESTAMPNTZ) AND "picked up" < CAST('2024-03-11 00:00:00' AS TIMESTAMPNTZ)) OR "picked up" IS NULL) AS "side_rows") AS "hashed_rows"
GROUP BY "bucket"
UNION ALL SELECT 1 AS "side", "bucket", COUNT(*) AS "rows", SUM("row_hash") AS "row_sum", BITXORAGG("row_hash") AS "row_xor", SUM("key_hash") AS "key_sum", BITXORAGG("key_hash") AS "key_xor"
FROM (
SELECT "bucket", HASH(HASH("v0", "v1", "v2", "v3", "v4", "v5", "v6")) AS "row_hash", HASH(HASH("v0")) AS "key_hash"
FROM (
SELECT CAST("id" AS DECIMAL(38, 0)) AS "v0", CAST(CONVERT_TIMEZONE('UTC', "picked up") AS TIMESTAMPNTZ) AS "v1", CASE WHEN CAST(CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS VARCHAR) AS DECIMAL(38, 2)) AS VARCHAR) AS DOUBLE) = "fare" THEN CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS VARCHAR) AS DECIMAL(38, 2)) AS VARCHAR) ELSE CAST(CAST("fare" AS DOUBLE) AS VARCHAR) END AS "v2", CAST("tip" AS DECIMAL(12, 4)) AS "v3", COLLATE("zone", 'utf8') AS "v4", "loaded" AS "v5", CAST("extra" AS VARIANT) AS "v6", FLOOR(DATE_PART(EPOCH_SECOND, "picked up") / 3600) AS "bucket"
FROM "candidate"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-11 00:00:00+00:00' AS TIMESTAMPTZ)) OR "picked up" IS NULL) AS "side_rows") AS "hashed_rows"
GROUP BY "bucket";

SELECT COUNT(*) AS "keys"
FROM (
SELECT "v0"
FROM (
SELECT CAST("id" AS DECIMAL(38, 0)) AS "v0", CAST("picked up" AS TIMESTAMPNTZ) AS "v1", CAST(CAST("fare" AS DECIMAL(38, 2)) AS VARCHAR) AS "v2", CAST("tip" AS DECIMAL(12, 4)) AS "v3", COLLATE("zone", 'utf8') AS "v4", "loaded" AS "v5", CAST("extra" AS VARIANT) AS "v6"
FROM "legacy"."main"."tri""ps; --"
WHERE "picked up" >= CAST('2024-03-10 00:00:00' AS TIMESTAMPNTZ) AND "picked up" < CAST('2024-03-11 00:00:00' AS TIMESTAMPNTZ)) AS "side_rows"
WHERE NOT "v0" IS NULL
GROUP BY "v0") AS "keys";

WITH "legacy_rows" AS (
SELECT "v0" AS "v0", "v5" AS "v1", HASH(HASH("v1", "v2", "v3", "v4", "v6")) AS "v2", HASH(HASH("v0", "v1", "v2", "v3", "v4", "v5", "v6")) AS "v3"
FROM (
SELECT CAST("id" AS DECIMAL(38, 0)) AS "v0", CAST("picked up" AS TIMESTAMPNTZ) AS "v1", CAST(CAST("fare" AS DECIMAL(38, 2)) AS VARCHAR) AS "v2", CAST("tip" AS DECIMAL(12, 4)) AS "v3", COLLATE("zone", 'utf8') AS "v4", "loaded" AS "v5", CAST("extra" AS VARIANT) AS "v6"
FROM "legacy"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00' AS TIMESTAMPNTZ) AND "picked up" < CAST('2024-03-11 00:00:00' AS TIMESTAMPNTZ)) AND ("picked up" >= CAST('2024-03-10 01:00:00' AS TIMESTAMPNTZ) AND "picked up" < CAST('2024-03-10 02:00:00' AS TIMESTAMPNTZ))) AS "side_rows"),
"candidate_rows" AS (
SELECT "v0" AS "v0", "v5" AS "v1", HASH(HASH("v1", "v2", "v3", "v4", "v6")) AS "v2", HASH(HASH("v0", "v1", "v2", "v3", "v4", "v5", "v6")) AS "v3"
FROM (
SELECT CAST("id" AS DECIMAL(38, 0)) AS "v0", CAST(CONVERT_TIMEZONE('UTC', "picked up") AS TIMESTAMPNTZ) AS "v1", CASE WHEN CAST(CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS VARCHAR) AS DECIMAL(38, 2)) AS VARCHAR) AS DOUBLE) = "fare" THEN CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS VARCHAR) AS DECIMAL(38, 2)) AS VARCHAR) ELSE CAST(CAST("fare" AS DOUBLE) AS VARCHAR) END AS "v2", CAST("tip" AS DECIMAL(12, 4)) AS "v3", COLLATE("zone", 'utf8') AS "v4", "loaded" AS "v5", CAST("extra" AS VARIANT) AS "v6"
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
SELECT 'only_in_legacy' AS "kind", "copies", "v3" AS "legacy_row", NULL AS "candidate_row", 0 AS "beyond_5"
FROM "only_legacy"
ORDER BY "v0", "v3"
LIMIT 5) AS "kind_1"
UNION ALL SELECT *
FROM (
SELECT 'only_in_candidate' AS "kind", "copies", NULL AS "legacy_row", "v3" AS "candidate_row", 0 AS "beyond_5"
FROM "only_candidate"
ORDER BY "v0", "v3"
LIMIT 5) AS "kind_2") SELECT "counts".*, "samples".*
FROM "counts"
LEFT JOIN "samples"
ON TRUE;

SELECT COALESCE(SUM(HASH(HASH("own"."v0", "own"."v1"))), 0) AS "digest_1", COALESCE(SUM(HASH(HASH("own"."v0", "own"."v2"))), 0) AS "digest_2", COALESCE(SUM(HASH(HASH("own"."v0", "own"."v3"))), 0) AS "digest_3", COALESCE(SUM(HASH(HASH("own"."v0", "own"."v4"))), 0) AS "digest_4", COALESCE(SUM(HASH(HASH("own"."v0", "own"."v6"))), 0) AS "digest_6"
FROM (
SELECT CAST("id" AS DECIMAL(38, 0)) AS "v0", CAST("picked up" AS TIMESTAMPNTZ) AS "v1", CAST(CAST("fare" AS DECIMAL(38, 2)) AS VARCHAR) AS "v2", CAST("tip" AS DECIMAL(12, 4)) AS "v3", COLLATE("zone", 'utf8') AS "v4", "loaded" AS "v5", CAST("extra" AS VARIANT) AS "v6"
FROM "legacy"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00' AS TIMESTAMPNTZ) AND "picked up" < CAST('2024-03-11 00:00:00' AS TIMESTAMPNTZ)) AND ("picked up" >= CAST('2024-03-10 01:00:00' AS TIMESTAMPNTZ) AND "picked up" < CAST('2024-03-10 02:00:00' AS TIMESTAMPNTZ))) AS "own"
JOIN (
SELECT CAST("id" AS DECIMAL(38, 0)) AS "v0", CAST(CONVERT_TIMEZONE('UTC', "picked up") AS TIMESTAMPNTZ) AS "v1", CASE WHEN CAST(CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS VARCHAR) AS DECIMAL(38, 2)) AS VARCHAR) AS DOUBLE) = "fare" THEN CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS VARCHAR) AS DECIMAL(38, 2)) AS VARCHAR) ELSE CAST(CAST("fare" AS DOUBLE) AS VARCHAR) END AS "v2", CAST("tip" AS DECIMAL(12, 4)) AS "v3", COLLATE("zone", 'utf8') AS "v4", "loaded" AS "v5", CAST("extra" AS VARIANT) AS "v6"
FROM "candidate"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-11 00:00:00+00:00' AS TIMESTAMPTZ)) AND ("picked up" >= CAST('2024-03-10 01:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-10 02:00:00+00:00' AS TIMESTAMPTZ))) AS "partner"
ON "own"."v0" = "partner"."v0";

SELECT COALESCE(SUM(HASH(HASH("own"."v0", "own"."v1"))), 0) AS "digest_1", COALESCE(SUM(HASH(HASH("own"."v0", "own"."v2"))), 0) AS "digest_2", COALESCE(SUM(HASH(HASH("own"."v0", "own"."v3"))), 0) AS "digest_3", COALESCE(SUM(HASH(HASH("own"."v0", "own"."v4"))), 0) AS "digest_4", COALESCE(SUM(HASH(HASH("own"."v0", "own"."v6"))), 0) AS "digest_6"
FROM (
SELECT CAST("id" AS DECIMAL(38, 0)) AS "v0", CAST(CONVERT_TIMEZONE('UTC', "picked up") AS TIMESTAMPNTZ) AS "v1", CASE WHEN CAST(CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS VARCHAR) AS DECIMAL(38, 2)) AS VARCHAR) AS DOUBLE) = "fare" THEN CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS VARCHAR) AS DECIMAL(38, 2)) AS VARCHAR) ELSE CAST(CAST("fare" AS DOUBLE) AS VARCHAR) END AS "v2", CAST("tip" AS DECIMAL(12, 4)) AS "v3", COLLATE("zone", 'utf8') AS "v4", "loaded" AS "v5", CAST("extra" AS VARIANT) AS "v6"
FROM "candidate"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-11 00:00:00+00:00' AS TIMESTAMPTZ)) AND ("picked up" >= CAST('2024-03-10 01:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-10 02:00:00+00:00' AS TIMESTAMPTZ))) AS "own"
JOIN (
SELECT CAST("id" AS DECIMAL(38, 0)) AS "v0", CAST("picked up" AS TIMESTAMPNTZ) AS "v1", CAST(CAST("fare" AS DECIMAL(38, 2)) AS VARCHAR) AS "v2", CAST("tip" AS DECIMAL(12, 4)) AS "v3", COLLATE("zone", 'utf8') AS "v4", "loaded" AS "v5", CAST("extra" AS VARIANT) AS "v6"
FROM "legacy"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00' AS TIMESTAMPNTZ) AND "picked up" < CAST('2024-03-11 00:00:00' AS TIMESTAMPNTZ)) AND ("picked up" >= CAST('2024-03-10 01:00:00' AS TIMESTAMPNTZ) AND "picked up" < CAST('2024-03-10 02:00:00' AS TIMESTAMPNTZ))) AS "partner"
ON "own"."v0" = "partner"."v0";

SELECT COALESCE(SUM(CASE WHEN "legacy_rows"."v1" IS DISTINCT FROM "candidate_rows"."v1" THEN 1 END), 0) AS "changed_1", COALESCE(SUM(CASE WHEN "legacy_rows"."v2" IS DISTINCT FROM "candidate_rows"."v2" THEN 1 END), 0) AS "changed_2"
FROM (
SELECT CAST("id" AS DECIMAL(38, 0)) AS "v0", CAST("picked up" AS TIMESTAMPNTZ) AS "v1", CAST(CAST("fare" AS DECIMAL(38, 2)) AS VARCHAR) AS "v2", CAST("tip" AS DECIMAL(12, 4)) AS "v3", COLLATE("zone", 'utf8') AS "v4", "loaded" AS "v5", CAST("extra" AS VARIANT) AS "v6"
FROM "legacy"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00' AS TIMESTAMPNTZ) AND "picked up" < CAST('2024-03-11 00:00:00' AS TIMESTAMPNTZ)) AND ("picked up" >= CAST('2024-03-10 01:00:00' AS TIMESTAMPNTZ) AND "picked up" < CAST('2024-03-10 02:00:00' AS TIMESTAMPNTZ))) AS "legacy_rows"
JOIN (
SELECT CAST("id" AS DECIMAL(38, 0)) AS "v0", CAST(CONVERT_TIMEZONE('UTC', "picked up") AS TIMESTAMPNTZ) AS "v1", CASE WHEN CAST(CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS VARCHAR) AS DECIMAL(38, 2)) AS VARCHAR) AS DOUBLE) = "fare" THEN CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS VARCHAR) AS DECIMAL(38, 2)) AS VARCHAR) ELSE CAST(CAST("fare" AS DOUBLE) AS VARCHAR) END AS "v2", CAST("tip" AS DECIMAL(12, 4)) AS "v3", COLLATE("zone", 'utf8') AS "v4", "loaded" AS "v5", CAST("extra" AS VARIANT) AS "v6"
FROM "candidate"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-11 00:00:00+00:00' AS TIMESTAMPTZ)) AND ("picked up" >= CAST('2024-03-10 01:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-10 02:00:00+00:00' AS TIMESTAMPTZ))) AS "candidate_rows"
ON "legacy_rows"."v0" = "candidate_rows"."v0";

SELECT COALESCE(SUM(CASE WHEN "legacy_rows"."v3" IS DISTINCT FROM "candidate_rows"."v3" THEN 1 END), 0) AS "changed_3", COALESCE(SUM(CASE WHEN "legacy_rows"."v4" IS DISTINCT FROM "candidate_rows"."v4" THEN 1 END), 0) AS "changed_4"
FROM (
SELECT CAST("id" AS DECIMAL(38, 0)) AS "v0", CAST("picked up" AS TIMESTAMPNTZ) AS "v1", CAST(CAST("fare" AS DECIMAL(38, 2)) AS VARCHAR) AS "v2", CAST("tip" AS DECIMAL(12, 4)) AS "v3", COLLATE("zone", 'utf8') AS "v4", "loaded" AS "v5", CAST("extra" AS VARIANT) AS "v6"
FROM "legacy"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00' AS TIMESTAMPNTZ) AND "picked up" < CAST('2024-03-11 00:00:00' AS TIMESTAMPNTZ)) AND ("picked up" >= CAST('2024-03-10 01:00:00' AS TIMESTAMPNTZ) AND "picked up" < CAST('2024-03-10 02:00:00' AS TIMESTAMPNTZ))) AS "legacy_rows"
JOIN (
SELECT CAST("id" AS DECIMAL(38, 0)) AS "v0", CAST(CONVERT_TIMEZONE('UTC', "picked up") AS TIMESTAMPNTZ) AS "v1", CASE WHEN CAST(CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS VARCHAR) AS DECIMAL(38, 2)) AS VARCHAR) AS DOUBLE) = "fare" THEN CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS VARCHAR) AS DECIMAL(38, 2)) AS VARCHAR) ELSE CAST(CAST("fare" AS DOUBLE) AS VARCHAR) END AS "v2", CAST("tip" AS DECIMAL(12, 4)) AS "v3", COLLATE("zone", 'utf8') AS "v4", "loaded" AS "v5", CAST("extra" AS VARIANT) AS "v6"
FROM "candidate"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-11 00:00:00+00:00' AS TIMESTAMPTZ)) AND ("picked up" >= CAST('2024-03-10 01:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-10 02:00:00+00:00' AS TIMESTAMPTZ))) AS "candidate_rows"
ON "legacy_rows"."v0" = "candidate_rows"."v0";

SELECT COALESCE(SUM(CASE WHEN "legacy_rows"."v6" IS DISTINCT FROM "candidate_rows"."v6" THEN 1 END), 0) AS "changed_6"
FROM (
SELECT CAST("id" AS DECIMAL(38, 0)) AS "v0", CAST("picked up" AS TIMESTAMPNTZ) AS "v1", CAST(CAST("fare" AS DECIMAL(38, 2)) AS VARCHAR) AS "v2", CAST("tip" AS DECIMAL(12, 4)) AS "v3", COLLATE("zone", 'utf8') AS "v4", "loaded" AS "v5", CAST("extra" AS VARIANT) AS "v6"
FROM "legacy"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00' AS TIMESTAMPNTZ) AND "picked up" < CAST('2024-03-11 00:00:00' AS TIMESTAMPNTZ)) AND ("picked up" >= CAST('2024-03-10 01:00:00' AS TIMESTAMPNTZ) AND "picked up" < CAST('2024-03-10 02:00:00' AS TIMESTAMPNTZ))) AS "legacy_rows"
JOIN (
SELECT CAST("id" AS DECIMAL(38, 0)) AS "v0", CAST(CONVERT_TIMEZONE('UTC', "picked up") AS TIMESTAMPNTZ) AS "v1", CASE WHEN CAST(CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS VARCHAR) AS DECIMAL(38, 2)) AS VARCHAR) AS DOUBLE) = "fare" THEN CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS VARCHAR) AS DECIMAL(38, 2)) AS VARCHAR) ELSE CAST(CAST("fare" AS DOUBLE) AS VARCHAR) END AS "v2", CAST("tip" AS DECIMAL(12, 4)) AS "v3", COLLATE("zone", 'utf8') AS "v4", "loaded" AS "v5", CAST("extra" AS VARIANT) AS "v6"
FROM "candidate"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-11 00:00:00+00:00' AS TIMESTAMPTZ)) AND ("picked up" >= CAST('2024-03-10 01:00:00+00:00' AS TIMESTAMPTZ) AND "picked up" < CAST('2024-03-10 02:00:00+00:00' AS TIMESTAMPTZ))) AS "candidate_rows"
ON "legacy_rows"."v0" = "candidate_rows"."v0";

SELECT "row", SUBSTRING(CAST("v0" AS VARCHAR), 1, 200) AS "text_0", HASH(HASH("v0")) AS "hash_0", SUBSTRING(CAST("v1" AS VARCHAR), 1, 200) || ' UTC' AS "text_1", HASH(HASH("v1")) AS "hash_1", SUBSTRING(CAST("v2" AS VARCHAR), 1, 200) AS "text_2", HASH(HASH("v2")) AS "hash_2", SUBSTRING(CAST("v3" AS VARCHAR), 1, 200) AS "text_3", HASH(HASH("v3")) AS "hash_3", SUBSTRING(CAST("v4" AS VARCHAR), 1, 200) AS "text_4", HASH(HASH("v4")) AS "hash_4", SUBSTRING(CAST("v5" AS VARCHAR), 1, 200) AS "text_5", HASH(HASH("v5")) AS "hash_5", SUBSTRING(CAST("v6" AS VARCHAR), 1, 200) AS "text_6", HASH(HASH("v6")) AS "hash_6"
FROM (
SELECT "row", ANY_VALUE("v0") AS "v0", ANY_VALUE("v1") AS "v1", ANY_VALUE("v2") AS "v2", ANY_VALUE("v3") AS "v3", ANY_VALUE("v4") AS "v4", ANY_VALUE("v5") AS "v5", ANY_VALUE("v6") AS "v6"
FROM (
SELECT "v0", "v1", "v2", "v3", "v4", "v5", "v6", HASH(HASH("v0", "v1", "v2", "v3", "v4", "v5", "v6")) AS "row"
FROM (
SELECT CAST("id" AS DECIMAL(38, 0)) AS "v0", CAST("picked up" AS TIMESTAMPNTZ) AS "v1", CAST(CAST("fare" AS DECIMAL(38, 2)) AS VARCHAR) AS "v2", CAST("tip" AS DECIMAL(12, 4)) AS "v3", COLLATE("zone", 'utf8') AS "v4", "loaded" AS "v5", CAST("extra" AS VARIANT) AS "v6"
FROM "legacy"."main"."tri""ps; --"
WHERE ("picked up" >= CAST('2024-03-10 00:00:00' AS TIMESTAMPNTZ) AND "picked up" < CAST('2024-03-11 00:00:00' AS TIMESTAMPNTZ)) AND ("picked up" >= CAST('2024-03-10 01:00:00' AS TIMESTAMPNTZ) AND "picked up" < CAST('2024-03-10 02:00:00' AS TIMESTAMPNTZ))) AS "side_rows") AS "hashed_rows"
WHERE "row" IN (7)
GROUP BY "row") AS "sampled";

