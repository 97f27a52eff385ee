"""The HTTP client libraries that are installed: httpx, and httpx2, whose classes have the same names.

The harness's own clients are httpx's if both are installed. Guards cover the clients of both.
"""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

# httpx2.alias_httpx() makes one module of both names.
LIBRARIES = list[ModuleType](
    {module: None for name in ("httpx", "httpx2") if find_spec(name) for module in [import_module(name)]}
)

if TYPE_CHECKING:
    import httpx as httpx
    from httpx import AsyncClient as AsyncClient
else:
    httpx = LIBRARIES[0]
    AsyncClient = httpx.AsyncClient

IN_PROCESS = tuple(library.ASGITransport for library in LIBRARIES)
CLIENTS = tuple(library.Client for library in LIBRARIES)
ASYNC_CLIENTS = tuple(library.AsyncClient for library in LIBRARIES)
