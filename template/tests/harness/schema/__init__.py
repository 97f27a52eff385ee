"""The schema that the migrations create, read from PostgreSQL's catalog: drift, migration history, new revisions."""
