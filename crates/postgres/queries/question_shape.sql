WITH rule AS (
  SELECT ev_class, ev_action::text AS tree FROM pg_catalog.pg_rewrite
  WHERE ev_class = to_regclass('pg_temp.lingqian_question'))
SELECT
  (SELECT string_agg(DISTINCT c.oid::regclass::text, ', ')
   FROM rule, regexp_matches(tree, ':relid (\d+)', 'g') AS found(part)
   JOIN pg_catalog.pg_class c ON c.oid = part[1]::oid
   WHERE c.oid <> ev_class AND c.relnamespace <> to_regnamespace('lingqian_views')),
  (SELECT string_agg(DISTINCT p.proname::text, ', ')
   FROM rule, regexp_matches(tree, ':(?:funcid|aggfnoid|winfnoid) (\d+)', 'g') AS found(part)
   JOIN pg_catalog.pg_proc p ON p.oid = part[1]::oid
   WHERE p.provolatile = 'v' OR p.proname LIKE '%\_to\_xml%'
     OR p.pronamespace NOT IN (to_regnamespace('pg_catalog'), to_regnamespace('lingqian_views')))
FROM rule
