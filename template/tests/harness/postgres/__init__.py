"""Finds or starts the PostgreSQL server of a test run, and removes what it has started.

`find.py` chooses among three sources: `url.py`, `local.py` and `docker.py`. No module here imports pytest;
`../database/server.py` makes a fixture of them.
"""
