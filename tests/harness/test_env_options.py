"""The options that the rendered env.py passes to Alembic."""

import pytest

from tests.harness.sample import Sample

TEST = """
import io
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
import pytest
from alembic import command
from tests.harness.core.project import alembic_ini
from tests.harness.database.alembic_env import alembic_config, watching

@pytest.mark.own_database
def test_options(migrations: object, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user@nowhere/database")
    seen = []
    config = alembic_config(alembic_ini(pytestconfig), stdout=io.StringIO())
    with watching(None, seen.append), ThreadPoolExecutor(1) as thread:
        thread.submit(copy_context().run, command.current, config).result()
    assert [options["include_schemas"] for options in seen] == [EXPECTED]
"""


@pytest.mark.parametrize(("line", "expected"), [("", "True"), ('    "include_schemas": False,\n', "False")])
def test_the_owner_decides_whether_all_schemas_are_compared(sample: Sample, line: str, expected: str) -> None:
    env = (sample.folder / "migrations" / "env.py").read_text()
    sample.write("migrations/env.py", env.replace('    "compare_type": True,\n', '    "compare_type": True,\n' + line))
    sample.write("tests/test_a.py", TEST.replace("EXPECTED", expected))

    outcome = sample.pytest()

    assert "1 passed" in outcome.output, outcome.output
