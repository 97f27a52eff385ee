"""Where the server of all contenders is, and what tables each of them makes there."""

import os

# The project that is measured exists while it is measured.
from sample import models  # type: ignore[import-not-found]
from sqlalchemy import URL, MetaData, make_url

METADATA: MetaData = models.Base.metadata
SERVER = make_url(os.environ["SERVER"])


def url(database: str, driver: str = "asyncpg") -> URL:
    """Where a database of the server is, for SQLAlchemy."""
    return SERVER.set(drivername=f"postgresql+{driver}", database=database)
