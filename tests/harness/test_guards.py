"""Guards: what they measure by can be set, and a setting that says nothing is refused in a line."""

import pytest

from tests.harness.sample import Sample

LOOKS = """
from httpx import AsyncClient
from fastapi import FastAPI
from sample.deps import Db
from sample.models import User

async def test_three_looks(client: AsyncClient, app: FastAPI) -> None:
    @app.get("/looks")
    async def looks(db: Db) -> None:
        for id in range(3):
            await db.get(User, id)

    await client.get("/looks")
"""


@pytest.mark.parametrize(("limit", "passes"), [("3", False), ("4", True)])
def test_how_often_one_select_is_too_often(sample: Sample, limit: str, passes: bool) -> None:
    sample.write("tests/test_a.py", LOOKS)

    outcome = sample.pytest("-o", f"savepoint_n_plus_one_threshold={limit}")

    assert ("1 passed" in outcome.output) is passes, outcome.output
    assert ("guard n_plus_one: GET /looks sent the same SELECT 3 times" in outcome.output) is not passes
    assert ("tests/test_a.py:11, in looks" in outcome.output) is not passes
