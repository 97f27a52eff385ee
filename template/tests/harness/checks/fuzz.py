"""Fuzzing: schemathesis sends what the service's OpenAPI description allows, and what it does not.

    uv run --group fuzz pytest tests/harness/checks/fuzz.py

No other run collects it. The application is served on loopback with a database of its own, signed in as whoever
`malformed_request_client` names; schemathesis runs beside it, in a process of its own, with its own output and its own
`schemathesis.toml`, if the project has one. The guards watch each request.
"""

import asyncio
import json
import shutil
import socket
import sysconfig
from collections.abc import AsyncIterator
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from tests.harness.core.requests import App
from tests.harness.core.source_lines import places

INSTALL = "schemathesis and uvicorn are in a dependency group of their own: uv run --group fuzz pytest {}"

# What each client sends by itself.
OF_HTTPX = {"accept", "accept-encoding", "connection", "user-agent"}


class Served:
    """The application on loopback.

    Attributes:
        url: where.
        errors: what was answered with 500, and where it comes from; each once.
    """

    def __init__(self, app: App, root: Path) -> None:
        self.url = ""
        self.errors: dict[str, None] = {}
        self._app = app
        self._root = root

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            # Answered already, and raised again for a server's log.
            where = "; ".join(places(error, self._root)[-1:])
            route = getattr(scope.get("route"), "path", scope["path"])
            self.errors[f"{scope['method']} {route}: {type(error).__name__} ({where})"] = None


@pytest.fixture
async def _served(anyio_backend: str, asgi_app: App, pytestconfig: pytest.Config) -> AsyncIterator[Served]:
    """A server, as in production, in the loop of the tests."""
    served = Served(asgi_app, pytestconfig.rootpath)
    uvicorn = import_module("uvicorn")
    server = uvicorn.Server(uvicorn.Config(served, lifespan="off", log_config=None, access_log=False))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        served.url = "http://127.0.0.1:{1}".format(*listening.getsockname())
        running = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        yield served
        server.should_exit = True
        await running


@pytest.fixture
def _schemathesis() -> str:
    """The command."""
    command = shutil.which("st", path=sysconfig.get_path("scripts"))
    if command is None:
        pytest.fail(INSTALL.format("tests/harness/checks/fuzz.py"), pytrace=False)
    return command


@pytest.mark.own_database
@pytest.mark.allow_guard("slow_test")
async def test_the_service_keeps_its_word(
    _schemathesis: str,
    app: FastAPI,
    _served: Served,
    _caller: AsyncClient,
    tmp_path: Path,
    pytestconfig: pytest.Config,
) -> None:
    description = tmp_path / "openapi.json"
    description.write_text(json.dumps(app.openapi()))
    headers = [f"--header={name}:{value}" for name, value in _caller.headers.items() if name not in OF_HTTPX]

    with _shown(pytestconfig):
        process = await asyncio.create_subprocess_exec(
            _schemathesis, "run", str(description), f"--url={_served.url}", *headers, cwd=pytestconfig.rootpath
        )
        code = await process.wait()

    if code:
        said = ["the service does not do what its OpenAPI description says: see above, each with a curl command."]
        if _served.errors:
            said += ["What was answered with 500:", *(f"  {error}" for error in _served.errors)]
        pytest.fail("\n".join(said), pytrace=False)


def _shown(config: pytest.Config) -> Any:
    """Let its output through as it comes: it takes a minute or more."""
    capture = config.pluginmanager.getplugin("capturemanager")
    return nullcontext() if capture is None else capture.global_and_fixture_disabled()
