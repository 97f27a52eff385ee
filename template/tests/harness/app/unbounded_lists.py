"""List endpoints of the API without a limit, by its OpenAPI description.

A list endpoint is a GET whose response is an array, or an object without `id` that contains an array of objects (a
page). It is limited if it has an integer query parameter such as `limit` with a maximum, or if the array has `maxItems`
or contains values of an enum.
"""

from collections.abc import Iterator

from .openapi import Schema, resolved

# Names of the parameter for the page size, without "_", "-" and brackets.
SIZES = {"limit", "size", "pagesize", "perpage", "pagelimit", "itemsperpage", "maxresults", "count", "first", "top"}
SIZES |= {"take", "max", "num", "rows", "maxitems", "resultsperpage"}
# A greater maximum is no limit: some APIs declare 2**63 - 1, the range of the column.
MAX_ITEMS = 10_000


def unbounded_lists(description: Schema) -> list[str]:
    """The paths of list endpoints without a limit, e.g. "/orders"."""
    return [
        path
        for path, item in description.get("paths", {}).items()
        if (operation := item.get("get")) is not None
        and _is_list(operation, description)
        and not any(_is_size(parameter, description) for parameter in _parameters(item, operation, description))
    ]


def _is_list(operation: Schema, description: Schema) -> bool:
    answer = resolved(operation.get("responses", {}).get("200", {}), description)
    return any(
        _has_list(schema, description)
        for content in answer.get("content", {}).values()
        for schema in _alternatives(content.get("schema", {}), description)
    )


def _has_list(schema: Schema, description: Schema) -> bool:
    if schema.get("type") == "array":
        return not _is_bounded(schema, description)
    properties = schema.get("properties", {})
    return "id" not in properties and any(
        _is_array_of_objects(alternative, description) and not _is_bounded(alternative, description)
        for value in properties.values()
        for alternative in _alternatives(value, description)
    )


def _is_bounded(array: Schema, description: Schema) -> bool:
    items = _alternatives(array.get("items", {}), description)
    return array.get("maxItems", MAX_ITEMS + 1) <= MAX_ITEMS or all("enum" in item or "const" in item for item in items)


def _is_array_of_objects(schema: Schema, description: Schema) -> bool:
    items = _alternatives(schema.get("items", {}), description)
    return schema.get("type") == "array" and any("properties" in item for item in items)


def _parameters(item: Schema, operation: Schema, description: Schema) -> Iterator[Schema]:
    for parameter in [*item.get("parameters", []), *operation.get("parameters", [])]:
        yield resolved(parameter, description)


def _is_size(parameter: Schema, description: Schema) -> bool:
    name = "".join(letter for letter in parameter.get("name", "").lower() if letter.isalnum())
    return (
        parameter.get("in") == "query"
        and name in SIZES
        and any(
            schema.get("type") == "integer"
            and schema.get("maximum", schema.get("exclusiveMaximum", MAX_ITEMS + 1)) <= MAX_ITEMS
            for schema in _alternatives(parameter.get("schema", {}), description)
        )
    )


def _alternatives(schema: Schema, description: Schema, within: tuple[Schema, ...] = ()) -> list[Schema]:
    """The alternatives of a schema, with references resolved: `X | None` is X or null."""
    schema = resolved(schema, description)
    # A circle: a base class lists its subclasses, each of which extends it.
    if any(schema is outer for outer in within):
        return []
    parts = [part for key in ("anyOf", "oneOf", "allOf") for part in schema.get(key, [])]
    found = [alternative for part in parts for alternative in _alternatives(part, description, (*within, schema))]
    return found or [schema]
