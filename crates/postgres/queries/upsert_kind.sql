INSERT INTO kinds (kind_no, code, price_micros, amount_max_micros, tax_class)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (kind_no) DO UPDATE SET code = excluded.code, price_micros = excluded.price_micros,
  amount_max_micros = excluded.amount_max_micros, tax_class = excluded.tax_class
