SELECT relname::text, coalesce(obj_description(oid, 'pg_class'), '') FROM pg_catalog.pg_class
WHERE relnamespace = to_regnamespace('lingqian_views') AND relkind = 'v' ORDER BY oid
