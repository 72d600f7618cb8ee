INSERT INTO paid_by_kind (kind, micros) SELECT kind, 0 FROM unnest($1::text[]) AS kind
