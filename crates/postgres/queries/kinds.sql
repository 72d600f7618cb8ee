SELECT kind_no, code, price_micros, amount_max_micros, tax_class, user_day_micros_max,
  user_day_count_max, cooling_days, between_users
FROM kinds ORDER BY kind_no
