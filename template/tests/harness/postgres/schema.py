"""What the postgres modules need to know of the schema that a cluster has."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Schema:
    """The migrated schema of a cluster.

    Args:
        digest: returns a digest that changes with every file that could change the schema. After `build`, it includes
            the files that the migrations have read.
        build: builds the schema on a server if it is missing; returns whether it was missing.
        rebuild: build it even if the cache has it.
    """

    digest: Callable[[], str]
    build: Callable[..., bool]
    rebuild: bool
