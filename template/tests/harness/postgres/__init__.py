"""A PostgreSQL server for one run of the tests, and nothing of it left afterwards.

`ladder.py` chooses among three rungs: `url.py`, `local.py` and `docker.py`. No file in here knows pytest, but for what
`../server.py` makes of them.
"""
