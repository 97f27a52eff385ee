"""The explanation of a request without the state of the lifespan: its client did not run the lifespan."""

import re

from starlette.applications import Starlette
from starlette.datastructures import State

from ..app.client import ASGIApp
from ..app.transport import ASGITransport
from ..core.exception_chain import chain, frames

# Of Starlette's class for `request.state` and `app.state`.
MISSING = re.compile(r"^'State' object has no attribute '(\w+)'$")

APPLICATION = Starlette.__call__.__code__
# With the state: the application `asgi_app`, and `client`.
SENT_BY_HARNESS = {ASGIApp.__call__.__code__, ASGITransport.handle_async_request.__code__}

LIFESPAN = (
    "the application's state has no `{}`. If the lifespan sets it: this client has not run the lifespan. Use the "
    "fixture `client`; for another client of ASGI, the application `asgi_app` instead of `app`; or, in a test with "
    "@pytest.mark.own_database, `with TestClient(app) as client:`."
)


def explanation_of_missing_state(error: BaseException) -> str | None:
    """The explanation; None if the request came with the lifespan's state."""
    for found in chain(error):
        missing = MISSING.match(str(found)) if isinstance(found, AttributeError) else None
        codes = [frame.f_code for frame in frames(found)]
        # In a request, to an application without the state.
        if (
            missing
            and State.__getattr__.__code__ in codes[-1:]
            and APPLICATION in codes
            and not SENT_BY_HARNESS & {*codes}
        ):
            return LIFESPAN.format(missing[1])
    return None
