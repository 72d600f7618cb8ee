INSERT INTO kinds (kind_no, code, price_micros, amount_max_micros, tax_class,
  user_day_micros_max, user_day_count_max, cooling_days, between_users)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (kind_no) DO UPDATE SET code = excluded.code, price_micros = excluded.price_micros,
  amount_max_micros = excluded.amount_max_micros, tax_class = excluded.tax_class,
  user_day_micros_max = excluded.user_day_micros_max,
  user_day_count_max = excluded.user_day_count_max, cooling_days = excluded.cooling_days,
  between_users = excluded.between_users
