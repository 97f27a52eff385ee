"""What is measured: one POST, INSERT and COMMIT through the application, and nothing else."""

import os

import pytest
from httpx import AsyncClient


@pytest.mark.parametrize("number", range(int(os.environ["TESTS"])))
async def test_sign_up(client: AsyncClient, email: str, number: int) -> None:
    response = await client.post("/users", json={"email": email})

    assert response.status_code == 201
