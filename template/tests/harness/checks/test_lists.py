"""List endpoints must have a maximum length, according to the OpenAPI description."""

import pytest

from ..app.unbounded_lists import unbounded_lists
from ..core.findings import Finding, Findings, finds
from ..core.settings import report_unused, settings_of


@finds(
    "production",
    "Lists without a maximum length: with production data, a response can exhaust the memory.",
    "limit: Annotated[int, Query(ge=1, le=100)] = 50, and .limit(limit) in the query.",
)
def test_list_endpoints_are_paginated(_application: object, _findings: Findings, pytestconfig: pytest.Config) -> None:
    describe = getattr(_application, "openapi", None)
    if describe is None:
        pytest.skip("the application has no openapi() method")
    allowed = settings_of(pytestconfig).unpaginated_routes

    lists = unbounded_lists(describe())

    _findings.add(
        [Finding(path, f"  GET {path}") for path in lists if path not in allowed],
        "These endpoints return a list without a maximum length:",
        "With production data, such a response can exhaust the memory of the process. Add a parameter, "
        "limit: Annotated[int, Query(ge=1, le=100)] = 50, and .limit(limit) to the query. If the list is always "
        'short, add under [tool.savepoint] of pyproject.toml: unpaginated_routes = ["{first}"]',
    )
    _findings.fail_for_new()
    report_unused(pytestconfig, "unpaginated_routes", lists)
