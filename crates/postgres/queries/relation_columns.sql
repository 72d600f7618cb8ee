SELECT attname::text || ' ' || format_type(atttypid, NULL) FROM pg_catalog.pg_attribute
WHERE attrelid = to_regclass('lingqian_views.' || quote_ident($1)) AND attnum > 0 ORDER BY attnum
