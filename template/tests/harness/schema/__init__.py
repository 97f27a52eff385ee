"""What the migrations make of the schema, by PostgreSQL's catalog: drift, the history of revisions, new revisions."""
