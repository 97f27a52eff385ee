"""The routes of an application by its OpenAPI description, for checks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import pytest
from fastapi import FastAPI

from ..core.http_clients import ASYNC_CLIENTS, httpx
from ..core.settings import settings_of
from ..transaction.blocking_connection import finished

METHODS = ("get", "post", "put", "patch", "delete")

# Headers that httpx adds.
OF_EVERY_CLIENT = {"accept", "accept-encoding", "connection", "host", "user-agent"}
NO_CLIENT = (
    "The fixture {} is a {}, which is no client. Name a fixture that returns an AsyncClient, a TestClient or headers: "
    "malformed_request_client under [tool.savepoint] of pyproject.toml."
)

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Operation:
    """A method of a route.

    Attributes:
        fields: the place of each field, by name: "path", "query", "header" or, in JSON, "body".
        schemas: the schema of each field.
        has_body: whether it accepts JSON.
        is_public: whether it declares no security requirement.
    """

    method: str
    path: str
    fields: dict[str, str]
    schemas: dict[str, Any]
    has_body: bool
    is_public: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def example_value(self, name: str) -> Any:
        """A valid value of a field, by its schema and its name."""
        schema = self.schemas[name]
        for option in schema.get("anyOf", []):
            schema = {**schema, **option}
            break
        if "enum" in schema:
            return schema["enum"][0]
        match schema.get("type"):
            case "integer" | "number":
                return schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
            case "boolean":
                return True
            case "array":
                return []
            case "object":
                return {}
        known = {"email": "ada@example.com", "currency": "eur", "date": "2026-01-31"}
        return known.get(name) or "x" * max(schema.get("minLength", 0), 8)


def operations(app: FastAPI) -> Iterator[Operation]:
    """All operations of the application, by path."""
    description = app.openapi()
    for path, methods in description.get("paths", {}).items():
        for method, details in methods.items():
            if method in METHODS:
                parameters = [p for part in details.get("parameters", []) if (p := resolved(part, description))]
                content = resolved(details.get("requestBody", {}), description).get("content", {})
                body = resolved(content.get("application/json", {}).get("schema", {}), description)
                properties = body.get("properties", {})
                yield Operation(
                    method.upper(),
                    path,
                    {p["name"]: p["in"] for p in parameters if p["in"] != "cookie"} | dict.fromkeys(properties, "body"),
                    {p["name"]: p.get("schema", {}) for p in parameters}
                    | {name: resolved(schema, description) for name, schema in properties.items()},
                    "application/json" in content,
                    not details.get("security", description.get("security")),
                )


def resolved(schema: Schema, description: Schema) -> Schema:
    """The schema that `$ref` refers to; an empty schema if the reference is external, circular or leads nowhere."""
    seen = set[str]()
    while isinstance(reference := schema.get("$ref"), str):
        found: Any = description
        for key in reference.removeprefix("#/").split("/"):
            found = found.get(key.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        if reference in seen or not isinstance(found, Mapping):
            return {}
        seen.add(reference)
        schema = found
    return schema


@pytest.fixture
def _malformed_request_client(request: pytest.FixtureRequest) -> httpx.AsyncClient:
    """The client of the setting `malformed_request_client`, with the fixtures of `malformed_request_fixtures`.

    The setting may also name a fixture with the headers of a client.
    """
    settings = settings_of(request.config)
    for name in settings.malformed_request_fixtures:
        _fixture(request, "malformed_request_fixtures", name)
    found = _fixture(request, "malformed_request_client", settings.malformed_request_client)
    if isinstance(found, ASYNC_CLIENTS):
        return cast(httpx.AsyncClient, found)
    # Headers, or a synchronous client such as Starlette's TestClient, which has headers and cookies.
    given = getattr(found, "headers", found)
    if not isinstance(given, Mapping):
        pytest.fail(NO_CLIENT.format(settings.malformed_request_client, type(found).__name__), pytrace=False)
    headers = {name: value for name, value in given.items() if name.lower() not in OF_EVERY_CLIENT}
    client: httpx.AsyncClient = finished(request.getfixturevalue("new_client")(headers=headers))
    client.cookies.update(dict(getattr(found, "cookies", {})))
    return client


def _fixture(request: pytest.FixtureRequest, setting: str, name: str) -> Any:
    try:
        return request.getfixturevalue(name)
    except pytest.FixtureLookupError as error:
        if error.argname != name:
            raise
    pytest.fail(f"pyproject.toml: [tool.savepoint]: {setting}: there is no fixture {name!r}.", pytrace=False)
