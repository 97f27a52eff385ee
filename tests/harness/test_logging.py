"""What a path is called changes nothing, and a check of Alembic leaves the logging as it was."""

import pytest

from tests.harness.sample import Outcome, Sample

LOGGING = """
import logging

def test_the_root_logger_is_as_pytest_has_it() -> None:
    assert [type(handler) for handler in logging.getLogger().handlers if type(handler) is logging.StreamHandler] == []
    assert logging.getLogger().level == logging.ERROR
"""

RUN = "import logging, sys, pytest\nlogging.getLogger().setLevel(logging.ERROR)\nsys.exit(pytest.main(sys.argv[1:]))\n"


@pytest.mark.parametrize("name", ["run.py", "alembic-demo.py"])
def test_a_path_with_alembic_in_it(sample: Sample, name: str) -> None:
    sample.write(name, RUN)
    sample.write("tests/test_a.py", LOGGING)
    tests = ["tests/harness/checks/test_migrations.py", "tests/test_a.py"]

    outcome = Outcome.of(sample.run(sample.python, name, "-p", "no:randomly", *tests))

    assert "5 passed" in outcome.output, outcome.output


COMMAND = """
import asyncio, logging
from alembic.config import main
asyncio.run = lambda coroutine: (coroutine.close(), print("level", logging.getLogger("alembic").level))
main(argv=["current"])
"""


def test_the_command_logs_as_its_ini_says(sample: Sample) -> None:
    sample.write("command.py", COMMAND)

    assert "level 20" in sample.check(sample.python, "command.py")
