select article_id, pieces * 2.5 as worth from {{ ref('stock_levels') }}
