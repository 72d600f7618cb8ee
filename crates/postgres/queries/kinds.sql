SELECT kind_no, code, price_micros, amount_max_micros, tax_class FROM kinds ORDER BY kind_no
