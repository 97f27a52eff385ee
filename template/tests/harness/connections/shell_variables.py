"""PG* variables of the shell change no connection of a run: they are removed from its environment until it ends.

libpq, asyncpg and processes that tests start read them, and would apply them to the test server. The variables of the
address and of certificates stay: each connection is given its address, and certificates may be needed.
"""

import os
from functools import partial

import pytest

VARIABLES = (
    "PGHOSTADDR",
    "PGSERVICE",
    "PGSSLMODE",
    "PGREQUIRESSL",
    "PGSSLNEGOTIATION",
    "PGSSLCERTMODE",
    "PGSSLMINPROTOCOLVERSION",
    "PGSSLMAXPROTOCOLVERSION",
    "PGREQUIREPEER",
    "PGMINPROTOCOLVERSION",
    "PGMAXPROTOCOLVERSION",
    "PGCHANNELBINDING",
    "PGREQUIREAUTH",
    "PGGSSENCMODE",
    "PGGSSLIB",
    "PGTARGETSESSIONATTRS",
    "PGLOADBALANCEHOSTS",
    "PGCONNECT_TIMEOUT",
    "PGCLIENTENCODING",
    "PGOPTIONS",
    "PGDATESTYLE",
    "PGTZ",
    "PGGEQO",
)


def configure(config: pytest.Config) -> None:
    names = list(VARIABLES)
    if os.environ.get("PGSSLROOTCERT") == "system":
        # libpq then refuses a server without TLS.
        names.append("PGSSLROOTCERT")
    for name in names:
        if (value := os.environ.pop(name, None)) is not None:
            config.add_cleanup(partial(os.environ.__setitem__, name, value))
