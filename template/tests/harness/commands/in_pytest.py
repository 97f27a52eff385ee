"""Runs a module of this folder in a session of pytest, which has the project's conftest, settings and server."""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import pytest

# The arguments of the command, and the file for its output, in JSON.
VARIABLE = "SAVEPOINT_COMMAND"
# Added to the name of that file for the message of a command that is refused.
REFUSED = "-refused"
# A command takes the time that it takes, and the project's own options are for its tests.
OPTIONS = ("-q", "--no-header", "--tb=short", "-o", "addopts=", "-p", "no:randomly", "-p", "no:cacheprovider")
WITHOUT_LIMITS = ("-o", "savepoint_slow_test_seconds=86400", "-o", "savepoint_test_timeout_seconds=0")


def run(command: str, **arguments: Any) -> str:
    """The output of a command; ends the process with a message if it fails."""
    with TemporaryDirectory() as folder:
        output = Path(folder, "output")
        variables = {VARIABLE: json.dumps({"output": str(output), **arguments}), "PYTEST_ADDOPTS": ""}
        # It shows the project's own limits.
        options = OPTIONS if command == "doctor" else (*OPTIONS, *WITHOUT_LIMITS)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", Path(__file__).with_name(f"{command}.py"), *options],
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        refusal = Path(f"{output}{REFUSED}")
        if refusal.exists():
            sys.exit(refusal.read_text(encoding="utf-8"))
        # Also without output: a hook of the project's conftest can skip a test.
        if done.returncode or not output.exists():
            sys.exit(done.stdout)
        return output.read_text(encoding="utf-8")


def given() -> dict[str, Any]:
    """The arguments of the command."""
    arguments: dict[str, Any] = json.loads(os.environ[VARIABLE])
    return arguments


def answer(text: str) -> None:
    """Set the output of the command."""
    Path(given()["output"]).write_text(text, encoding="utf-8")


def refuse(message: str) -> NoReturn:
    """End the command with a message: why it cannot be done, and what to do."""
    Path(given()["output"] + REFUSED).write_text(message, encoding="utf-8")
    pytest.fail(message, pytrace=False)
