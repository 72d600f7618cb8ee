-- Ids of a run take eight bytes each, in which entries are counted from this one; -1 where they do
-- not fit. Runs that were made before have none, and keep what they are until they are merged.
ALTER TABLE id_runs ADD COLUMN first_entry INTEGER CHECK (first_entry >= -1);
