"""From the migrations to the database of a test: server, template database, worker databases, savepoints."""
