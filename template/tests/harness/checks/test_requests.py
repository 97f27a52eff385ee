"""Malformed requests must not get a 5xx response.

The requests are a fixed list, the same in each run, sent in a fraction of a second. They are derived from the OpenAPI
description: each has one malformed value, and plausible values for the other fields.
"""

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from ..app.openapi import Operation, operations
from ..core.findings import Finding, Findings, finds
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
    _application: FastAPI, _malformed_request_client: AsyncClient, _findings: Findings, pytestconfig: pytest.Config
) -> None:
    failures, advice = [], dict[str, None]()
    for operation in operations(_application):
        for field, requests in groupby(_requests(operation), lambda request: request[0]):
            for _, value, request in requests:
                try:
                    status = (await _malformed_request_client.request(operation.method, **request)).status_code
                except Exception as error:
                    where = "; ".join(places(error, pytestconfig.rootpath)[-1:])
                    why, remedy = f"{type(error).__name__} ({where})", MIGRATE if is_missing(error) else VALIDATE
                else:
                    if status < 500 or status == 503:
                        continue
                    why, remedy = str(status), VALIDATE
                failures.append(Finding(f"{operation} with {field}", f"{operation} with {value}: {why}"))
                break
            else:
                continue
            # One failure of a route is enough, but the baseline needs all.
            if not _findings.lets_be(failures[-1].key):
                advice[remedy] = None
                break
    _findings.add(failures, HEADING, "\n".join(advice))
    _findings.fail_for_new()


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
