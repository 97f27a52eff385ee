"""The lists of the API: each has a bound, by what the API says of itself."""

import pytest

from tests.harness.app.unbounded_lists import unbounded_lists
from tests.harness.core.settings import settings_of


def test_lists_have_a_bound(app: object, pytestconfig: pytest.Config) -> None:
    describe = getattr(app, "openapi", None)
    if describe is None:
        pytest.skip("the application has no openapi() to read, as FastAPI has")
    allowed = settings_of(pytestconfig).unpaginated_routes

    unbounded = [path for path in unbounded_lists(describe()) if path not in allowed]

    if unbounded:
        lines = "\n".join(f"  GET {path}" for path in unbounded)
        pytest.fail(
            f"these answer with a list, and nothing says how long it may be:\n{lines}\n"
            "With the rows of production the answer takes minutes, and the memory of the process. Give the route a "
            "parameter, limit: Annotated[int, Query(ge=1, le=100)] = 50, and its query .limit(limit). A list that is "
            f'short by nature: unpaginated_routes = ["{unbounded[0]}"] under [tool.savepoint] of pyproject.toml.',
            pytrace=False,
        )
