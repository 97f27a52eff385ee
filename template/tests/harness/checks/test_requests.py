"""Malformed requests must not get a 5xx response.

The requests are a fixed list, the same in each run, sent in a fraction of a second. They are derived from the OpenAPI
description: each has one malformed value, and plausible values for the other fields.
"""

import json
import logging
from collections.abc import Iterator
from itertools import groupby
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import FastAPI

from ..app.openapi import Operation, operations
from ..core.findings import Finding, Findings, finds
from ..core.http_clients import LIBRARIES, httpx
from ..core.requests import ON_REQUEST_END, Request
from ..core.source_lines import places
from ..reports.missing_column import is_missing

# Values that databases, number types or text encodings reject.
MALFORMED: list[Any] = [None, [], {}, -1, 2**63, 10**400, float("nan"), "", "\0", "\ud800", "x" * 100_000]

BODIES = [b"", b"{", b"null", b"[]", b"\xff\xfe"]

JSON = {"content-type": "application/json"}

HEADING = "Malformed requests must get a 4xx response; these got a 5xx:"
VALIDATE = (
    "Reject such values in the request model: a pattern or a length for text (PostgreSQL cannot store NUL), bounds for "
    "numbers (the largest bigint is 2**63 - 1)."
)
# FastAPI's own 422 response has the value, which its JSON cannot hold.
REPEATED = ("Out of range float values are not JSON compliant", "surrogates not allowed")
ECHO = (
    "The 422 response repeats the value, and JSON has no NaN and no lone surrogate: handle RequestValidationError, and "
    "leave `input` out of the response."
)
UNREACHED = (
    "No malformed request has reached a route; the status of the last of {} responses is {}. If the application has "
    "TrustedHostMiddleware, set base_url under [tool.savepoint] of pyproject.toml to an address that it accepts, such "
    "as http://localhost."
)
MIGRATE = (
    "The database has no such column or table. If a model defines it, its migration is missing: check "
    "test_models_match_migrations prints the operations."
)


@finds(
    "production",
    "Malformed requests that get a 5xx response: anybody can cause errors, and alerts.",
    "Bounds, lengths and patterns in the request model.",
)
@pytest.mark.anyio
async def test_malformed_requests_get_no_5xx(
    _application: FastAPI,
    _malformed_request_client: httpx.AsyncClient,
    _handled: list[tuple[bool, int | None]],
    _findings: Findings,
    pytestconfig: pytest.Config,
) -> None:
    failures, shown, advice = list[Finding](), list[Finding](), dict[str, None]()
    for operation in operations(_application):
        has_new = False
        for field, requests in groupby(_requests(operation), lambda request: request[0]):
            for _, value, request in requests:
                try:
                    response = await _malformed_request_client.request(operation.method, **request)
                except Exception as error:
                    place = "; ".join(places(error, pytestconfig.rootpath)[-1:])
                    why = f"{type(error).__name__} ({place or str(error)[:99]})"
                    remedy = _remedy(error)
                else:
                    if response.status_code < 500 or response.status_code == 503:
                        continue
                    why, remedy = str(response.status_code), VALIDATE
                failures.append(Finding(f"{operation} with {field}", f"{operation} with {value}: {why}"))
                if not has_new and not _findings.lets_be(failures[-1].key):
                    # One failure of a route is enough for the message, but the report and the baseline need all.
                    has_new = True
                    shown.append(failures[-1])
                    advice[remedy] = None
                break
    if _handled and not failures and not any(has_route for has_route, _ in _handled):
        pytest.fail(UNREACHED.format(len(_handled), _handled[-1][1]), pytrace=False)
    _findings.note(failures)
    _findings.add(shown, HEADING, "\n".join(advice))
    _findings.fail_for_new()


def _remedy(error: Exception) -> str:
    if is_missing(error):
        return MIGRATE
    return ECHO if any(text in str(error) for text in REPEATED) else VALIDATE


@pytest.fixture
def _handled(_malformed_request_client: httpx.AsyncClient) -> Iterator[list[tuple[bool, int | None]]]:
    """For each request that the application handles, whether it has reached a route, and the status."""
    handled, client = list[tuple[bool, int | None]](), _malformed_request_client

    def record(request: Request) -> None:
        handled.append(("route" in request.scope, request.status))

    base_url = client.base_url
    # Its path would stand before that of each route.
    client.base_url = base_url.join("/")
    # They would log hundreds of lines.
    loggers = [logging.getLogger(library.__name__) for library in LIBRARIES]
    were_disabled = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    ON_REQUEST_END.append(record)
    try:
        yield handled
    finally:
        ON_REQUEST_END.remove(record)
        client.base_url = base_url
        for logger, was_disabled in zip(loggers, were_disabled, strict=True):
            logger.disabled = was_disabled


def _requests(operation: Operation) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The field, the field with its value, and the request."""
    plausible = {name: operation.example_value(name) for name in operation.fields}
    for name, where in operation.fields.items():
        for value in MALFORMED:
            if where != "body" and not isinstance(value, str | int):
                continue
            yield name, f"{name} = {_shown(value)}", _request(operation, {**plausible, name: value})
    if operation.has_body:
        for body in BODIES:
            request = _request(operation, plausible)
            headers = {**request["headers"], **JSON}
            yield "the body", f"the body {body!r}", {**request, "content": body, "headers": headers}


def _shown(value: Any) -> str:
    if isinstance(value, str) and len(value) > 99:
        return "a long text"
    return "10**400" if value == 10**400 else repr(value)


def _request(operation: Operation, values: dict[str, Any]) -> dict[str, Any]:
    path, query, headers, body = operation.path, {}, {}, {}
    for name, where in operation.fields.items():
        value = values[name]
        text = str(value).encode(errors="replace").decode() if where != "body" else ""
        match where:
            case "path":
                path = path.replace("{" + name + "}", quote(text[:2000], safe="") or "-")
            case "query":
                query[name] = text[:2000]
            case "header":
                headers[name] = text[:2000].replace("\0", "?")
            case _:
                body[name] = value
    content = {"content": json.dumps(body).encode()} if operation.has_body else {}
    return {"url": path, "params": query, "headers": {**headers, **(JSON if content else {})}, **content}
