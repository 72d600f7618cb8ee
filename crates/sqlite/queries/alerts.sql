SELECT kind, subject, since, noticed_at, ended_at, words FROM alerts ORDER BY kind, subject
