"""Requests that make no sense: whatever is sent, the answer is not a 5xx.

A fixed list, and not a search: the same in each run, in a fraction of a second. What is declared decides what is sent,
one odd value at a time and the others as plausible as their names; of the application nothing is known.
"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from tests.harness.app.openapi import Operation, operations
from tests.harness.core.source_lines import places
from tests.harness.reports.missing_column import is_missing

# What breaks in a database, in a number, or in text.
ODD: list[Any] = [None, [], {}, -1, 2**63, 10**400, float("nan"), "", "\0", "\ud800", "x" * 100_000]

BODIES = [b"", b"{", b"null", b"[]", b"\xff\xfe"]

JSON = {"content-type": "application/json"}

WRONG = "what is wrong with a request is its sender's to mend, and was answered as a fault of ours:"
REFUSE = (
    "Let the model of the request refuse it: a pattern or a length for text (PostgreSQL stores no NUL), bounds for "
    "numbers (a bigint ends at 2**63 - 1)."
)
MISSING = (
    "The database has no such column or table, whatever is sent: if a model has it, its migration is missing, and "
    "check test_models_and_migrations_agree prints the lines."
)


async def test_no_request_is_answered_with_a_5xx(
    app: FastAPI, _caller: AsyncClient, pytestconfig: pytest.Config
) -> None:
    failed, remedies = [], dict[str, None]()
    for operation in operations(app):
        for what, request in _requests(operation):
            try:
                status = (await _caller.request(operation.method, **request)).status_code
            except Exception as error:
                where = "; ".join(places(error, pytestconfig.rootpath)[-1:])
                failed.append(f"{operation} with {what}: {type(error).__name__} ({where})")
                remedies[MISSING if is_missing(error) else REFUSE] = None
                break
            if status >= 500 and status != 503:
                failed.append(f"{operation} with {what}: {status}")
                remedies[REFUSE] = None
                break
    if failed:
        pytest.fail("\n".join([WRONG, *failed, *remedies]), pytrace=False)


def _requests(operation: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
    plausible = {name: operation.plausible(name) for name in operation.fields}
    for name, where in operation.fields.items():
        for odd in ODD:
            if where != "body" and not isinstance(odd, str | int):
                continue
            shown = (
                "a long text" if isinstance(odd, str) and len(odd) > 99 else "10**400" if odd == 10**400 else repr(odd)
            )
            yield f"{name} = {shown}", _request(operation, {**plausible, name: odd})
    if operation.has_body:
        for body in BODIES:
            request = _request(operation, plausible)
            yield f"the body {body!r}", {**request, "content": body, "headers": {**request["headers"], **JSON}}


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
