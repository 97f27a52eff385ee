"""A transport of httpx to an application in this process, with support for streaming.

`client.get()` returns when the application has finished the request, including background tasks. `client.stream()`
yields when the response starts, and each chunk when it is sent; leaving its block disconnects the client. httpx's own
ASGITransport waits for the last chunk before it returns, so an endless stream blocks it
(https://github.com/encode/httpx/issues/2186).
"""

from ..core.http_clients import httpx
from .exchange import Application, Exchange


class ASGITransport(httpx.ASGITransport):
    """The transport of `client` and `new_client`."""

    app: Application

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Called by httpx for each request."""
        scope = {
            "type": "http",
            # The version of uvicorn: with it, a streaming response waits for the client's disconnect.
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "scheme": request.url.scheme,
            "path": request.url.path,
            "raw_path": request.url.raw_path.partition(b"?")[0],
            "query_string": request.url.query,
            "server": (request.url.host, request.url.port),
            "client": self.client,
            "root_path": self.root_path,
        }
        kind = Exchange
        if request.headers.get("upgrade", "").lower() == "websocket":
            from .websockets import Socket, scope_of

            kind, scope = Socket, scope_of(scope, request)
        return await kind(request, self.raise_app_exceptions).begin(self.app, scope)
