"""All checks run, and pass, in a project with many tables and revisions, as quickly as a run allows.

`SAVEPOINT_LARGE=5000,1000` sets how many there are; a job of the workflow does, on main.
"""

import os

from benchmarks import tables
from tests.harness.sample import Sample

TABLES, REVISIONS = map(int, os.environ.get("SAVEPOINT_LARGE", "300,100").split(","))

# One transaction that locks all tables and their indexes has no room in the server's table of locks.
FEW_LOCKS = 'postgres_options = ["max_locks_per_transaction=10"]'


def test_all_checks_of_a_large_project(sample: Sample) -> None:
    models = sample.folder / "src/sample/models.py"
    text = models.read_text()
    assert "import BigInteger," in text
    text = text.replace("import BigInteger,", "import BigInteger, ForeignKey,") + tables.models(TABLES, REVISIONS)
    sample.write("src/sample/models.py", text)
    for file, revision in tables.revisions(REVISIONS, TABLES).items():
        sample.write(f"migrations/versions/{file}", revision)
    settings = (sample.folder / "pyproject.toml").read_text()
    assert "[tool.savepoint]\n" in settings
    sample.write("pyproject.toml", settings.replace("[tool.savepoint]\n", f"[tool.savepoint]\n{FEW_LOCKS}\n"))

    outcome = sample.checks("--create-db", "-rs", "--durations=5")

    assert outcome.code == 0, outcome.output
    assert " passed in " in outcome.output
    assert "SKIPPED" not in outcome.output, outcome.output
