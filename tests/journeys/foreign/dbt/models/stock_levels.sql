select 1 as article_id, 5 as pieces
