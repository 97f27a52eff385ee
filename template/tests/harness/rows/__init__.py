"""New revisions run on rows: fills every table from PostgreSQL's catalog, and finds what an upgrade has lost."""
