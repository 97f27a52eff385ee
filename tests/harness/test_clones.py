"""The pool of clones, where the server allows few connections."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from harness.database import clones
from harness.database.maintenance import MaintenanceConnection
from harness.postgres.server import Server


def test_a_refused_connection_does_not_keep_the_next_one_open(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    names: Iterator[int] = count()
    refused: list[bool] = []
    opened: list[MaintenanceConnection] = []

    class RefusedError(Exception): ...

    def connect(server: Server) -> Any:
        if not refused:
            refused.append(True)
            raise RefusedError
        opened.append(MaintenanceConnection(server))
        return opened[-1]

    monkeypatch.setattr(clones, "MaintenanceConnection", connect)
    few = replace(server, connection_limit=clones.FEW_CONNECTIONS - 1)
    pool = clones.Clones(few, "template0", lambda: f"savepoint_0c10e500_gw0_{next(names)}", 0)
    with pytest.raises(RefusedError):
        pool.take()

    name = pool.take()
    pool.drop(name)
    pool.close()

    assert opened
    assert pool._connections == []
