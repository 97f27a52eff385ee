"""The OpenAPI description of an application is read as it is: references are followed, and no circle is endless."""

from typing import Any

import pytest
from fastapi import FastAPI
from harness.app.openapi import operations, resolved
from harness.app.unbounded_lists import unbounded_lists


def ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def described(**schemas: Any) -> dict[str, Any]:
    return {"components": {"schemas": schemas}}


def test_a_reference_to_a_reference() -> None:
    description = described(A=ref("B"), B={"type": "string"})

    assert resolved(ref("A"), description) == {"type": "string"}


def test_a_name_with_a_slash_and_a_tilde() -> None:
    description = described(**{"a/b~c": {"type": "string"}})

    assert resolved(ref("a~1b~0c"), description) == {"type": "string"}


@pytest.mark.parametrize(
    "reference",
    [ref("Missing"), ref("A"), ref("Text/deeper"), {"$ref": "other.json#/A"}, {"$ref": "#/components/schemas/List/0"}],
)
def test_a_reference_that_leads_nowhere_is_an_empty_schema(reference: dict[str, Any]) -> None:
    description = described(A=ref("B"), B=ref("A"), Text="text", List=[{"type": "string"}])

    assert resolved(reference, description) == {}


def test_a_property_may_be_called_as_a_reference() -> None:
    assert resolved({"$ref": {"type": "string"}}, {}) == {"$ref": {"type": "string"}}


def test_operations_with_references_that_lead_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    app = FastAPI()
    body = {"content": {"application/json": {"schema": ref("Missing")}}}
    post = {"parameters": [{"$ref": "#/components/parameters/Missing"}], "requestBody": body}
    paths = {"/orders": {"post": post, "put": {"requestBody": ref("Missing")}}}
    monkeypatch.setattr(app, "openapi", lambda: {"paths": paths})

    assert [(str(operation), operation.fields, operation.has_body) for operation in operations(app)] == [
        ("POST /orders", {}, True),
        ("PUT /orders", {}, False),
    ]


def lists(schema: dict[str, Any], **schemas: Any) -> list[str]:
    responses = {"200": {"content": {"application/json": {"schema": schema}}}}
    return unbounded_lists({"paths": {"/pets": {"get": {"responses": responses}}}, **described(**schemas)})


def test_lists_of_classes_that_refer_to_each_other() -> None:
    pet = {"oneOf": [ref("Cat")]}
    cat = {"allOf": [ref("Pet"), {"properties": {"name": {"type": "string"}}}]}

    assert lists({"type": "array", "items": ref("Pet")}, Pet=pet, Cat=cat) == ["/pets"]
    assert lists(ref("Pet"), Pet=pet, Cat=cat) == []
    assert lists(ref("Missing")) == []
