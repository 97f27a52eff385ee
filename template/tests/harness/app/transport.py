"""How a test's client reaches the application: in this process, and with answers that arrive as they are sent.

`client.get()` returns when the application is done with the request, background tasks included. `client.stream()`
yields as soon as the answer begins, and each chunk when the application sends it; leaving its block tells the
application that the client has gone. httpx's own ASGITransport waits for the last chunk first, and for ever if there is
none (https://github.com/encode/httpx/issues/2186).
"""

import httpx

from .exchange import Application, Exchange


class ASGITransport(httpx.ASGITransport):
    """The transport of `client` and `new_client`."""

    app: Application

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Called by httpx for each request."""
        scope = {
            "type": "http",
            # The version that uvicorn says: a streaming response then listens for the client's end.
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
