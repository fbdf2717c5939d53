SELECT MIN("id") AS "first", MAX("id") AS "last"
FROM "legacy"."main"."tri""ps; --";

SELECT MIN("id") AS "first", MAX("id") AS "last"
FROM "candidate"."main"."tri""ps; --";

SELECT 0 AS "side", "bucket", COUNT(*) AS "rows", SUM("row_hash") AS "row_sum", BIT_XOR("row_hash") AS "row_xor"
FROM (
SELECT "bucket", HASH(HASH("v0", "v1", "v2", "v3")) AS "row_hash"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", CAST(CAST("fare" AS DECIMAL(38, 2)) AS TEXT) AS "v1", "zone" COLLATE c AS "v2", CASE WHEN NOT "extra" IS NULL THEN '{"a": ' || COALESCE(CAST((
SELECT '{' || STRING_AGG(CAST(TO_JSON("tree"."fullkey") AS TEXT) || ': ' || CASE "tree"."type" WHEN 'OBJECT' THEN '{}' WHEN 'ARRAY' THEN '[]' WHEN 'NULL' THEN 'null' WHEN 'VARCHAR' THEN CAST("tree"."atom" AS TEXT) WHEN 'BOOLEAN' THEN CAST("tree"."atom" AS TEXT) ELSE CASE WHEN CAST(CAST(TRY_CAST(CAST("tree"."atom" AS TEXT) AS DECIMAL(38, 10)) AS TEXT) AS DOUBLE) = TRY_CAST(CAST("tree"."atom" AS TEXT) AS DOUBLE) THEN CASE WHEN TRY_CAST(CAST("tree"."atom" AS TEXT) AS DECIMAL(38, 10)) = 0 THEN '0' ELSE RTRIM(RTRIM(REGEXP_REPLACE(CAST(TRY_CAST(CAST("tree"."atom" AS TEXT) AS DECIMAL(38, 10)) AS TEXT), '^(-?)0\.', '\1.', 'g'), '0'), '.') END ELSE CAST("tree"."atom" AS TEXT) END END, ', '
ORDER BY "tree"."fullkey", "tree"."id") || '}' || CASE WHEN COUNT(*) > COUNT(DISTINCT "tree"."fullkey") THEN ' in ' || MAX(CASE WHEN "tree"."id" = 0 THEN CAST("tree"."value" AS TEXT) END) ELSE '' END
FROM JSON_TREE(CAST(CASE WHEN REGEXP_MATCHES(CAST(CAST(STRUCT_EXTRACT("extra", 'a') AS JSON) AS TEXT), '[0-9][0-9.]{15,}') THEN ARRAY_TO_STRING([CASE WHEN REGEXP_MATCHES("element", '^-?[0-9]') AND LENGTH(RTRIM(LTRIM(REGEXP_EXTRACT("element", '^-?([0-9]+)', 1) || REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1), '0'), '0')) > 15 THEN '"' || REGEXP_EXTRACT("element", '^(-?)', 1) || RTRIM(LTRIM(REGEXP_EXTRACT("element", '^-?([0-9]+)', 1) || REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1), '0'), '0') || 'e' || CAST(((COALESCE(TRY_CAST(NULLIF(REGEXP_EXTRACT("element", '[eE]([+-]?[0-9]+)$', 1), '') AS BIGINT), 0) - LENGTH(REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1))) + (LENGTH(LTRIM(REGEXP_EXTRACT("element", '^-?([0-9]+)', 1) || REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1), '0')) - LENGTH(RTRIM(LTRIM(REGEXP_EXTRACT("element", '^-?([0-9]+)', 1) || REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1), '0'), '0')))) AS TEXT) || '"' ELSE "element" END FOR "element" IN REGEXP_EXTRACT_ALL(CAST(CAST(STRUCT_EXTRACT("extra", 'a') AS JSON) AS TEXT), '"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|[^"0-9-]+|-')], '') ELSE CAST(CAST(STRUCT_EXTRACT("extra", 'a') AS JSON) AS TEXT) END AS JSON)) AS "tree") AS TEXT), 'null') || ', "b": ' || COALESCE(CAST(CASE WHEN NOT STRUCT_EXTRACT("extra", 'b') IS NULL THEN '[' || ARRAY_TO_STRING([COALESCE(CAST(CAST("element" AS DECIMAL(19, 0)) AS TEXT), 'null') FOR "element" IN STRUCT_EXTRACT("extra", 'b')], ', ') || ']' END AS TEXT), 'null') || '}' END AS "v3", "id" // 98 AS "bucket"
FROM "legacy"."main"."tri""ps; --") AS "side_rows") AS "hashed_rows"
GROUP BY "bucket"
UNION ALL SELECT 1 AS "side", "bucket", COUNT(*) AS "rows", SUM("row_hash") AS "row_sum", BIT_XOR("row_hash") AS "row_xor"
FROM (
SELECT "bucket", HASH(HASH("v0", "v1", "v2", "v3")) AS "row_hash"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", CASE WHEN CAST(CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS TEXT) AS DECIMAL(38, 2)) AS TEXT) AS DOUBLE) = "fare" THEN CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS TEXT) AS DECIMAL(38, 2)) AS TEXT) ELSE CAST(CAST("fare" AS DOUBLE) AS TEXT) END AS "v1", CAST("zone" AS TEXT) COLLATE c AS "v2", CASE WHEN NOT "extra" IS NULL THEN '{"a": ' || COALESCE(CAST((
SELECT '{' || STRING_AGG(CAST(TO_JSON("tree"."fullkey") AS TEXT) || ': ' || CASE "tree"."type" WHEN 'OBJECT' THEN '{}' WHEN 'ARRAY' THEN '[]' WHEN 'NULL' THEN 'null' WHEN 'VARCHAR' THEN CAST("tree"."atom" AS TEXT) WHEN 'BOOLEAN' THEN CAST("tree"."atom" AS TEXT) ELSE CASE WHEN CAST(CAST(TRY_CAST(CAST("tree"."atom" AS TEXT) AS DECIMAL(38, 10)) AS TEXT) AS DOUBLE) = TRY_CAST(CAST("tree"."atom" AS TEXT) AS DOUBLE) THEN CASE WHEN TRY_CAST(CAST("tree"."atom" AS TEXT) AS DECIMAL(38, 10)) = 0 THEN '0' ELSE RTRIM(RTRIM(REGEXP_REPLACE(CAST(TRY_CAST(CAST("tree"."atom" AS TEXT) AS DECIMAL(38, 10)) AS TEXT), '^(-?)0\.', '\1.', 'g'), '0'), '.') END ELSE CAST("tree"."atom" AS TEXT) END END, ', '
ORDER BY "tree"."fullkey", "tree"."id") || '}' || CASE WHEN COUNT(*) > COUNT(DISTINCT "tree"."fullkey") THEN ' in ' || MAX(CASE WHEN "tree"."id" = 0 THEN CAST("tree"."value" AS TEXT) END) ELSE '' END
FROM JSON_TREE(CAST(CASE WHEN REGEXP_MATCHES(CAST(CAST(STRUCT_EXTRACT("extra", 'a') AS JSON) AS TEXT), '[0-9][0-9.]{15,}') THEN ARRAY_TO_STRING([CASE WHEN REGEXP_MATCHES("element", '^-?[0-9]') AND LENGTH(RTRIM(LTRIM(REGEXP_EXTRACT("element", '^-?([0-9]+)', 1) || REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1), '0'), '0')) > 15 THEN '"' || REGEXP_EXTRACT("element", '^(-?)', 1) || RTRIM(LTRIM(REGEXP_EXTRACT("element", '^-?([0-9]+)', 1) || REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1), '0'), '0') || 'e' || CAST(((COALESCE(TRY_CAST(NULLIF(REGEXP_EXTRACT("element", '[eE]([+-]?[0-9]+)$', 1), '') AS BIGINT), 0) - LENGTH(REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1))) + (LENGTH(LTRIM(REGEXP_EXTRACT("element", '^-?([0-9]+)', 1) || REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1), '0')) - LENGTH(RTRIM(LTRIM(REGEXP_EXTRACT("element", '^-?([0-9]+)', 1) || REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1), '0'), '0')))) AS TEXT) || '"' ELSE "element" END FOR "element" IN REGEXP_EXTRACT_ALL(CAST(CAST(STRUCT_EXTRACT("extra", 'a') AS JSON) AS TEXT), '"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|[^"0-9-]+|-')], '') ELSE CAST(CAST(STRUCT_EXTRACT("extra", 'a') AS JSON) AS TEXT) END AS JSON)) AS "tree") AS TEXT), 'null') || ', "b": ' || COALESCE(CAST(CASE WHEN NOT STRUCT_EXTRACT("extra", 'b') IS NULL THEN '[' || ARRAY_TO_STRING([COALESCE(CAST(CAST("element" AS DECIMAL(19, 0)) AS TEXT), 'null') FOR "element" IN STRUCT_EXTRACT("extra", 'b')], ', ') || ']' END AS TEXT), 'null') || '}' END AS "v3", "id" // 98 AS "bucket"
FROM "candidate"."main"."tri""ps; --") AS "side_rows") AS "hashed_rows"
GROUP BY "bucket";

WITH "legacy_rows" AS (
SELECT HASH(HASH("v0", "v1", "v2", "v3")) AS "v0"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", CAST(CAST("fare" AS DECIMAL(38, 2)) AS TEXT) AS "v1", "zone" COLLATE c AS "v2", CASE WHEN NOT "extra" IS NULL THEN '{"a": ' || COALESCE(CAST((
SELECT '{' || STRING_AGG(CAST(TO_JSON("tree"."fullkey") AS TEXT) || ': ' || CASE "tree"."type" WHEN 'OBJECT' THEN '{}' WHEN 'ARRAY' THEN '[]' WHEN 'NULL' THEN 'null' WHEN 'VARCHAR' THEN CAST("tree"."atom" AS TEXT) WHEN 'BOOLEAN' THEN CAST("tree"."atom" AS TEXT) ELSE CASE WHEN CAST(CAST(TRY_CAST(CAST("tree"."atom" AS TEXT) AS DECIMAL(38, 10)) AS TEXT) AS DOUBLE) = TRY_CAST(CAST("tree"."atom" AS TEXT) AS DOUBLE) THEN CASE WHEN TRY_CAST(CAST("tree"."atom" AS TEXT) AS DECIMAL(38, 10)) = 0 THEN '0' ELSE RTRIM(RTRIM(REGEXP_REPLACE(CAST(TRY_CAST(CAST("tree"."atom" AS TEXT) AS DECIMAL(38, 10)) AS TEXT), '^(-?)0\.', '\1.', 'g'), '0'), '.') END ELSE CAST("tree"."atom" AS TEXT) END END, ', '
ORDER BY "tree"."fullkey", "tree"."id") || '}' || CASE WHEN COUNT(*) > COUNT(DISTINCT "tree"."fullkey") THEN ' in ' || MAX(CASE WHEN "tree"."id" = 0 THEN CAST("tree"."value" AS TEXT) END) ELSE '' END
FROM JSON_TREE(CAST(CASE WHEN REGEXP_MATCHES(CAST(CAST(STRUCT_EXTRACT("extra", 'a') AS JSON) AS TEXT), '[0-9][0-9.]{15,}') THEN ARRAY_TO_STRING([CASE WHEN REGEXP_MATCHES("element", '^-?[0-9]') AND LENGTH(RTRIM(LTRIM(REGEXP_EXTRACT("element", '^-?([0-9]+)', 1) || REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1), '0'), '0')) > 15 THEN '"' || REGEXP_EXTRACT("element", '^(-?)', 1) || RTRIM(LTRIM(REGEXP_EXTRACT("element", '^-?([0-9]+)', 1) || REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1), '0'), '0') || 'e' || CAST(((COALESCE(TRY_CAST(NULLIF(REGEXP_EXTRACT("element", '[eE]([+-]?[0-9]+)$', 1), '') AS BIGINT), 0) - LENGTH(REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1))) + (LENGTH(LTRIM(REGEXP_EXTRACT("element", '^-?([0-9]+)', 1) || REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1), '0')) - LENGTH(RTRIM(LTRIM(REGEXP_EXTRACT("element", '^-?([0-9]+)', 1) || REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1), '0'), '0')))) AS TEXT) || '"' ELSE "element" END FOR "element" IN REGEXP_EXTRACT_ALL(CAST(CAST(STRUCT_EXTRACT("extra", 'a') AS JSON) AS TEXT), '"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|[^"0-9-]+|-')], '') ELSE CAST(CAST(STRUCT_EXTRACT("extra", 'a') AS JSON) AS TEXT) END AS JSON)) AS "tree") AS TEXT), 'null') || ', "b": ' || COALESCE(CAST(CASE WHEN NOT STRUCT_EXTRACT("extra", 'b') IS NULL THEN '[' || ARRAY_TO_STRING([COALESCE(CAST(CAST("element" AS DECIMAL(19, 0)) AS TEXT), 'null') FOR "element" IN STRUCT_EXTRACT("extra", 'b')], ', ') || ']' END AS TEXT), 'null') || '}' END AS "v3"
FROM "legacy"."main"."tri""ps; --"
WHERE "id" >= 46550882 AND "id" < 46550980) AS "side_rows"),
"candidate_rows" AS (
SELECT HASH(HASH("v0", "v1", "v2", "v3")) AS "v0"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", CASE WHEN CAST(CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS TEXT) AS DECIMAL(38, 2)) AS TEXT) AS DOUBLE) = "fare" THEN CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS TEXT) AS DECIMAL(38, 2)) AS TEXT) ELSE CAST(CAST("fare" AS DOUBLE) AS TEXT) END AS "v1", CAST("zone" AS TEXT) COLLATE c AS "v2", CASE WHEN NOT "extra" IS NULL THEN '{"a": ' || COALESCE(CAST((
SELECT '{' || STRING_AGG(CAST(TO_JSON("tree"."fullkey") AS TEXT) || ': ' || CASE "tree"."type" WHEN 'OBJECT' THEN '{}' WHEN 'ARRAY' THEN '[]' WHEN 'NULL' THEN 'null' WHEN 'VARCHAR' THEN CAST("tree"."atom" AS TEXT) WHEN 'BOOLEAN' THEN CAST("tree"."atom" AS TEXT) ELSE CASE WHEN CAST(CAST(TRY_CAST(CAST("tree"."atom" AS TEXT) AS DECIMAL(38, 10)) AS TEXT) AS DOUBLE) = TRY_CAST(CAST("tree"."atom" AS TEXT) AS DOUBLE) THEN CASE WHEN TRY_CAST(CAST("tree"."atom" AS TEXT) AS DECIMAL(38, 10)) = 0 THEN '0' ELSE RTRIM(RTRIM(REGEXP_REPLACE(CAST(TRY_CAST(CAST("tree"."atom" AS TEXT) AS DECIMAL(38, 10)) AS TEXT), '^(-?)0\.', '\1.', 'g'), '0'), '.') END ELSE CAST("tree"."atom" AS TEXT) END END, ', '
ORDER BY "tree"."fullkey", "tree"."id") || '}' || CASE WHEN COUNT(*) > COUNT(DISTINCT "tree"."fullkey") THEN ' in ' || MAX(CASE WHEN "tree"."id" = 0 THEN CAST("tree"."value" AS TEXT) END) ELSE '' END
FROM JSON_TREE(CAST(CASE WHEN REGEXP_MATCHES(CAST(CAST(STRUCT_EXTRACT("extra", 'a') AS JSON) AS TEXT), '[0-9][0-9.]{15,}') THEN ARRAY_TO_STRING([CASE WHEN REGEXP_MATCHES("element", '^-?[0-9]') AND LENGTH(RTRIM(LTRIM(REGEXP_EXTRACT("element", '^-?([0-9]+)', 1) || REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1), '0'), '0')) > 15 THEN '"' || REGEXP_EXTRACT("element", '^(-?)', 1) || RTRIM(LTRIM(REGEXP_EXTRACT("element", '^-?([0-9]+)', 1) || REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1), '0'), '0') || 'e' || CAST(((COALESCE(TRY_CAST(NULLIF(REGEXP_EXTRACT("element", '[eE]([+-]?[0-9]+)$', 1), '') AS BIGINT), 0) - LENGTH(REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1))) + (LENGTH(LTRIM(REGEXP_EXTRACT("element", '^-?([0-9]+)', 1) || REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1), '0')) - LENGTH(RTRIM(LTRIM(REGEXP_EXTRACT("element", '^-?([0-9]+)', 1) || REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1), '0'), '0')))) AS TEXT) || '"' ELSE "element" END FOR "element" IN REGEXP_EXTRACT_ALL(CAST(CAST(STRUCT_EXTRACT("extra", 'a') AS JSON) AS TEXT), '"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|[^"0-9-]+|-')], '') ELSE CAST(CAST(STRUCT_EXTRACT("extra", 'a') AS JSON) AS TEXT) END AS JSON)) AS "tree") AS TEXT), 'null') || ', "b": ' || COALESCE(CAST(CASE WHEN NOT STRUCT_EXTRACT("extra", 'b') IS NULL THEN '[' || ARRAY_TO_STRING([COALESCE(CAST(CAST("element" AS DECIMAL(19, 0)) AS TEXT), 'null') FOR "element" IN STRUCT_EXTRACT("extra", 'b')], ', ') || ']' END AS TEXT), 'null') || '}' END AS "v3"
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
SELECT CAST("id" AS BIGINT) AS "v0", CAST(CAST("fare" AS DECIMAL(38, 2)) AS TEXT) AS "v1", "zone" COLLATE c AS "v2", CASE WHEN NOT "extra" IS NULL THEN '{"a": ' || COALESCE(CAST((
SELECT '{' || STRING_AGG(CAST(TO_JSON("tree"."fullkey") AS TEXT) || ': ' || CASE "tree"."type" WHEN 'OBJECT' THEN '{}' WHEN 'ARRAY' THEN '[]' WHEN 'NULL' THEN 'null' WHEN 'VARCHAR' THEN CAST("tree"."atom" AS TEXT) WHEN 'BOOLEAN' THEN CAST("tree"."atom" AS TEXT) ELSE CASE WHEN CAST(CAST(TRY_CAST(CAST("tree"."atom" AS TEXT) AS DECIMAL(38, 10)) AS TEXT) AS DOUBLE) = TRY_CAST(CAST("tree"."atom" AS TEXT) AS DOUBLE) THEN CASE WHEN TRY_CAST(CAST("tree"."atom" AS TEXT) AS DECIMAL(38, 10)) = 0 THEN '0' ELSE RTRIM(RTRIM(REGEXP_REPLACE(CAST(TRY_CAST(CAST("tree"."atom" AS TEXT) AS DECIMAL(38, 10)) AS TEXT), '^(-?)0\.', '\1.', 'g'), '0'), '.') END ELSE CAST("tree"."atom" AS TEXT) END END, ', '
ORDER BY "tree"."fullkey", "tree"."id") || '}' || CASE WHEN COUNT(*) > COUNT(DISTINCT "tree"."fullkey") THEN ' in ' || MAX(CASE WHEN "tree"."id" = 0 THEN CAST("tree"."value" AS TEXT) END) ELSE '' END
FROM JSON_TREE(CAST(CASE WHEN REGEXP_MATCHES(CAST(CAST(STRUCT_EXTRACT("extra", 'a') AS JSON) AS TEXT), '[0-9][0-9.]{15,}') THEN ARRAY_TO_STRING([CASE WHEN REGEXP_MATCHES("element", '^-?[0-9]') AND LENGTH(RTRIM(LTRIM(REGEXP_EXTRACT("element", '^-?([0-9]+)', 1) || REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1), '0'), '0')) > 15 THEN '"' || REGEXP_EXTRACT("element", '^(-?)', 1) || RTRIM(LTRIM(REGEXP_EXTRACT("element", '^-?([0-9]+)', 1) || REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1), '0'), '0') || 'e' || CAST(((COALESCE(TRY_CAST(NULLIF(REGEXP_EXTRACT("element", '[eE]([+-]?[0-9]+)$', 1), '') AS BIGINT), 0) - LENGTH(REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1))) + (LENGTH(LTRIM(REGEXP_EXTRACT("element", '^-?([0-9]+)', 1) || REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1), '0')) - LENGTH(RTRIM(LTRIM(REGEXP_EXTRACT("element", '^-?([0-9]+)', 1) || REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1), '0'), '0')))) AS TEXT) || '"' ELSE "element" END FOR "element" IN REGEXP_EXTRACT_ALL(CAST(CAST(STRUCT_EXTRACT("extra", 'a') AS JSON) AS TEXT), '"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|[^"0-9-]+|-')], '') ELSE CAST(CAST(STRUCT_EXTRACT("extra", 'a') AS JSON) AS TEXT) END AS JSON)) AS "tree") AS TEXT), 'null') || ', "b": ' || COALESCE(CAST(CASE WHEN NOT STRUCT_EXTRACT("extra", 'b') IS NULL THEN '[' || ARRAY_TO_STRING([COALESCE(CAST(CAST("element" AS DECIMAL(19, 0)) AS TEXT), 'null') FOR "element" IN STRUCT_EXTRACT("extra", 'b')], ', ') || ']' END AS TEXT), 'null') || '}' END AS "v3"
FROM "legacy"."main"."tri""ps; --"
WHERE "id" >= 46550882 AND "id" < 46550980) AS "own";

SELECT COALESCE(SUM(HASH(HASH("own"."v0"))), 0) AS "digest_0", COALESCE(SUM(HASH(HASH("own"."v1"))), 0) AS "digest_1", COALESCE(SUM(HASH(HASH("own"."v2"))), 0) AS "digest_2", COALESCE(SUM(HASH(HASH("own"."v3"))), 0) AS "digest_3"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", CASE WHEN CAST(CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS TEXT) AS DECIMAL(38, 2)) AS TEXT) AS DOUBLE) = "fare" THEN CAST(TRY_CAST(CAST(CAST("fare" AS DOUBLE) AS TEXT) AS DECIMAL(38, 2)) AS TEXT) ELSE CAST(CAST("fare" AS DOUBLE) AS TEXT) END AS "v1", CAST("zone" AS TEXT) COLLATE c AS "v2", CASE WHEN NOT "extra" IS NULL THEN '{"a": ' || COALESCE(CAST((
SELECT '{' || STRING_AGG(CAST(TO_JSON("tree"."fullkey") AS TEXT) || ': ' || CASE "tree"."type" WHEN 'OBJECT' THEN '{}' WHEN 'ARRAY' THEN '[]' WHEN 'NULL' THEN 'null' WHEN 'VARCHAR' THEN CAST("tree"."atom" AS TEXT) WHEN 'BOOLEAN' THEN CAST("tree"."atom" AS TEXT) ELSE CASE WHEN CAST(CAST(TRY_CAST(CAST("tree"."atom" AS TEXT) AS DECIMAL(38, 10)) AS TEXT) AS DOUBLE) = TRY_CAST(CAST("tree"."atom" AS TEXT) AS DOUBLE) THEN CASE WHEN TRY_CAST(CAST("tree"."atom" AS TEXT) AS DECIMAL(38, 10)) = 0 THEN '0' ELSE RTRIM(RTRIM(REGEXP_REPLACE(CAST(TRY_CAST(CAST("tree"."atom" AS TEXT) AS DECIMAL(38, 10)) AS TEXT), '^(-?)0\.', '\1.', 'g'), '0'), '.') END ELSE CAST("tree"."atom" AS TEXT) END END, ', '
ORDER BY "tree"."fullkey", "tree"."id") || '}' || CASE WHEN COUNT(*) > COUNT(DISTINCT "tree"."fullkey") THEN ' in ' || MAX(CASE WHEN "tree"."id" = 0 THEN CAST("tree"."value" AS TEXT) END) ELSE '' END
FROM JSON_TREE(CAST(CASE WHEN REGEXP_MATCHES(CAST(CAST(STRUCT_EXTRACT("extra", 'a') AS JSON) AS TEXT), '[0-9][0-9.]{15,}') THEN ARRAY_TO_STRING([CASE WHEN REGEXP_MATCHES("element", '^-?[0-9]') AND LENGTH(RTRIM(LTRIM(REGEXP_EXTRACT("element", '^-?([0-9]+)', 1) || REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1), '0'), '0')) > 15 THEN '"' || REGEXP_EXTRACT("element", '^(-?)', 1) || RTRIM(LTRIM(REGEXP_EXTRACT("element", '^-?([0-9]+)', 1) || REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1), '0'), '0') || 'e' || CAST(((COALESCE(TRY_CAST(NULLIF(REGEXP_EXTRACT("element", '[eE]([+-]?[0-9]+)$', 1), '') AS BIGINT), 0) - LENGTH(REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1))) + (LENGTH(LTRIM(REGEXP_EXTRACT("element", '^-?([0-9]+)', 1) || REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1), '0')) - LENGTH(RTRIM(LTRIM(REGEXP_EXTRACT("element", '^-?([0-9]+)', 1) || REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1), '0'), '0')))) AS TEXT) || '"' ELSE "element" END FOR "element" IN REGEXP_EXTRACT_ALL(CAST(CAST(STRUCT_EXTRACT("extra", 'a') AS JSON) AS TEXT), '"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|[^"0-9-]+|-')], '') ELSE CAST(CAST(STRUCT_EXTRACT("extra", 'a') AS JSON) AS TEXT) END AS JSON)) AS "tree") AS TEXT), 'null') || ', "b": ' || COALESCE(CAST(CASE WHEN NOT STRUCT_EXTRACT("extra", 'b') IS NULL THEN '[' || ARRAY_TO_STRING([COALESCE(CAST(CAST("element" AS DECIMAL(19, 0)) AS TEXT), 'null') FOR "element" IN STRUCT_EXTRACT("extra", 'b')], ', ') || ']' END AS TEXT), 'null') || '}' END AS "v3"
FROM "candidate"."main"."tri""ps; --"
WHERE "id" >= 46550882 AND "id" < 46550980) AS "own";

SELECT "row", SUBSTRING(CAST("v0" AS TEXT), 1, 200) AS "text_0", HASH(HASH("v0")) AS "hash_0", SUBSTRING(CAST("v1" AS TEXT), 1, 200) AS "text_1", HASH(HASH("v1")) AS "hash_1", '***' AS "text_2", HASH(HASH("v2")) AS "hash_2", SUBSTRING(CAST("v3" AS TEXT), 1, 200) AS "text_3", HASH(HASH("v3")) AS "hash_3"
FROM (
SELECT "row", ANY_VALUE("v0") AS "v0", ANY_VALUE("v1") AS "v1", ANY_VALUE("v2") AS "v2", ANY_VALUE("v3") AS "v3"
FROM (
SELECT "v0", "v1", "v2", "v3", HASH(HASH("v0", "v1", "v2", "v3")) AS "row"
FROM (
SELECT CAST("id" AS BIGINT) AS "v0", CAST(CAST("fare" AS DECIMAL(38, 2)) AS TEXT) AS "v1", "zone" COLLATE c AS "v2", CASE WHEN NOT "extra" IS NULL THEN '{"a": ' || COALESCE(CAST((
SELECT '{' || STRING_AGG(CAST(TO_JSON("tree"."fullkey") AS TEXT) || ': ' || CASE "tree"."type" WHEN 'OBJECT' THEN '{}' WHEN 'ARRAY' THEN '[]' WHEN 'NULL' THEN 'null' WHEN 'VARCHAR' THEN CAST("tree"."atom" AS TEXT) WHEN 'BOOLEAN' THEN CAST("tree"."atom" AS TEXT) ELSE CASE WHEN CAST(CAST(TRY_CAST(CAST("tree"."atom" AS TEXT) AS DECIMAL(38, 10)) AS TEXT) AS DOUBLE) = TRY_CAST(CAST("tree"."atom" AS TEXT) AS DOUBLE) THEN CASE WHEN TRY_CAST(CAST("tree"."atom" AS TEXT) AS DECIMAL(38, 10)) = 0 THEN '0' ELSE RTRIM(RTRIM(REGEXP_REPLACE(CAST(TRY_CAST(CAST("tree"."atom" AS TEXT) AS DECIMAL(38, 10)) AS TEXT), '^(-?)0\.', '\1.', 'g'), '0'), '.') END ELSE CAST("tree"."atom" AS TEXT) END END, ', '
ORDER BY "tree"."fullkey", "tree"."id") || '}' || CASE WHEN COUNT(*) > COUNT(DISTINCT "tree"."fullkey") THEN ' in ' || MAX(CASE WHEN "tree"."id" = 0 THEN CAST("tree"."value" AS TEXT) END) ELSE '' END
FROM JSON_TREE(CAST(CASE WHEN REGEXP_MATCHES(CAST(CAST(STRUCT_EXTRACT("extra", 'a') AS JSON) AS TEXT), '[0-9][0-9.]{15,}') THEN ARRAY_TO_STRING([CASE WHEN REGEXP_MATCHES("element", '^-?[0-9]') AND LENGTH(RTRIM(LTRIM(REGEXP_EXTRACT("element", '^-?([0-9]+)', 1) || REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1), '0'), '0')) > 15 THEN '"' || REGEXP_EXTRACT("element", '^(-?)', 1) || RTRIM(LTRIM(REGEXP_EXTRACT("element", '^-?([0-9]+)', 1) || REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1), '0'), '0') || 'e' || CAST(((COALESCE(TRY_CAST(NULLIF(REGEXP_EXTRACT("element", '[eE]([+-]?[0-9]+)$', 1), '') AS BIGINT), 0) - LENGTH(REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1))) + (LENGTH(LTRIM(REGEXP_EXTRACT("element", '^-?([0-9]+)', 1) || REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1), '0')) - LENGTH(RTRIM(LTRIM(REGEXP_EXTRACT("element", '^-?([0-9]+)', 1) || REGEXP_EXTRACT("element", '^-?[0-9]+\.([0-9]+)', 1), '0'), '0')))) AS TEXT) || '"' ELSE "element" END FOR "element" IN REGEXP_EXTRACT_ALL(CAST(CAST(STRUCT_EXTRACT("extra", 'a') AS JSON) AS TEXT), '"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|[^"0-9-]+|-')], '') ELSE CAST(CAST(STRUCT_EXTRACT("extra", 'a') AS JSON) AS TEXT) END AS JSON)) AS "tree") AS TEXT), 'null') || ', "b": ' || COALESCE(CAST(CASE WHEN NOT STRUCT_EXTRACT("extra", 'b') IS NULL THEN '[' || ARRAY_TO_STRING([COALESCE(CAST(CAST("element" AS DECIMAL(19, 0)) AS TEXT), 'null') FOR "element" IN STRUCT_EXTRACT("extra", 'b')], ', ') || ']' END AS TEXT), 'null') || '}' END AS "v3"
FROM "legacy"."main"."tri""ps; --"
WHERE "id" >= 46550882 AND "id" < 46550980) AS "side_rows") AS "hashed_rows"
WHERE "row" IN (7)
GROUP BY "row") AS "sampled";

