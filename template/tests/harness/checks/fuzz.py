"""Fuzzing: schemathesis sends requests that match the service's OpenAPI description, and requests that violate it.

    uv run --group fuzz pytest tests/harness/checks/fuzz.py

Other runs do not collect this file. The application is served on loopback, with its own database; the requests have the
headers of the client that `malformed_request_client` names. schemathesis runs in a separate process, prints its own
output, and reads the project's `schemathesis.toml`. The guards check each request.
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

from ..core.http_clients import httpx
from ..core.project import shown
from ..core.requests import App
from ..core.source_lines import places

INSTALL = "schemathesis is not installed. Run: uv run --group fuzz pytest {}\nOr install schemathesis and uvicorn."

# httpx's default headers; schemathesis has its own.
DEFAULT_HEADERS = {"accept", "accept-encoding", "connection", "user-agent"}


class ServedApp:
    """The application, served on loopback.

    Attributes:
        url: its address.
        errors: the routes that raised, with the exception and its place; without duplicates.
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
            # The response has been sent; Starlette raises the exception again for the server's log.
            where = "; ".join(places(error, self._root)[-1:])
            route = getattr(scope.get("route"), "path", scope["path"])
            self.errors[f"{scope['method']} {route}: {type(error).__name__} ({where})"] = None


@pytest.fixture
async def _served(anyio_backend: str, asgi_app: App, pytestconfig: pytest.Config) -> AsyncIterator[ServedApp]:
    """The application, served by uvicorn in the event loop of the tests."""
    served = ServedApp(asgi_app, pytestconfig.rootpath)
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
def _schemathesis(pytestconfig: pytest.Config) -> str:
    """The path of the command."""
    command = shutil.which("st", path=sysconfig.get_path("scripts"))
    if command is None:
        pytest.fail(INSTALL.format(shown(Path(__file__), pytestconfig)), pytrace=False)
    return command


@pytest.mark.anyio
@pytest.mark.own_database
async def test_openapi_contract(
    _schemathesis: str,
    _application: FastAPI,
    _served: ServedApp,
    _malformed_request_client: httpx.AsyncClient,
    tmp_path: Path,
    pytestconfig: pytest.Config,
) -> None:
    description = tmp_path / "openapi.json"
    description.write_text(json.dumps(_application.openapi()))
    headers = [
        f"--header={name}:{value}"
        for name, value in _malformed_request_client.headers.items()
        if name not in DEFAULT_HEADERS
    ]

    with _uncaptured(pytestconfig):
        process = await asyncio.create_subprocess_exec(
            _schemathesis, "run", str(description), f"--url={_served.url}", *headers, cwd=pytestconfig.rootpath
        )
        code = await process.wait()

    if code:
        lines = ["The service violates its OpenAPI description: see the failures above, each with a curl command."]
        if _served.errors:
            lines += ["Responses with status 500:", *(f"  {error}" for error in _served.errors)]
        pytest.fail("\n".join(lines), pytrace=False)


def _uncaptured(config: pytest.Config) -> Any:
    """Print the output of schemathesis immediately: it runs for a minute or more."""
    capture = config.pluginmanager.getplugin("capturemanager")
    return nullcontext() if capture is None else capture.global_and_fixture_disabled()
