WITH gone AS (DELETE FROM system_deltas RETURNING class, owner, delta_micros),
sums AS (SELECT class, owner, sum(delta_micros)::bigint AS delta FROM gone GROUP BY class, owner)
INSERT INTO system_accounts (class, owner, balance_micros)
SELECT class, owner, delta FROM sums ORDER BY class, owner
ON CONFLICT (class, owner) DO UPDATE
SET balance_micros = system_accounts.balance_micros + excluded.balance_micros
