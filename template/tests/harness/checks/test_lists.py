"""List endpoints must have a maximum length, according to the OpenAPI description."""

import pytest

from ..app.unbounded_lists import unbounded_lists
from ..core.settings import report_unused, settings_of


def test_list_endpoints_are_paginated(_application: object, pytestconfig: pytest.Config) -> None:
    describe = getattr(_application, "openapi", None)
    if describe is None:
        pytest.skip("the application has no openapi() method")
    allowed = settings_of(pytestconfig).unpaginated_routes

    lists = unbounded_lists(describe())

    if unbounded := [path for path in lists if path not in allowed]:
        lines = "\n".join(f"  GET {path}" for path in unbounded)
        pytest.fail(
            f"These endpoints return a list without a maximum length:\n{lines}\n"
            "With production data, such a response can exhaust the memory of the process. Add a parameter, "
            "limit: Annotated[int, Query(ge=1, le=100)] = 50, and .limit(limit) to the query. If the list is always "
            f'short, add under [tool.savepoint] of pyproject.toml: unpaginated_routes = ["{unbounded[0]}"]',
            pytrace=False,
        )
    report_unused(pytestconfig, "unpaginated_routes", lists)
