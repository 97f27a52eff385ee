"""The test run: its id, this worker's id, how to stop it, and the lines of the summary for all workers.

A run that cannot continue (no server, a failed migration, an application that does not start) stops at once, with one
error instead of one error per test.
"""

import hashlib
import uuid
from typing import Any, Literal, NoReturn, get_args

import pytest

RUN_ID = pytest.StashKey[str]()
SESSION = pytest.StashKey[pytest.Session]()

# Kinds of summary lines: the server (not with `-q`), why the run was stopped, what it left behind, tables that a check
# could not fill, what pyproject.toml or a file of the tests is to say, and what a check could not look at.
Kind = Literal["server", "stopped", "left", "unfilled", "outdated", "notes"]
LINES = pytest.StashKey[dict[Kind, list[str]]]()

ABORTED = "Test run aborted"


def configure(config: pytest.Config) -> None:
    kinds: tuple[Kind, ...] = get_args(Kind)
    lines: dict[Kind, list[str]] = {kind: [] for kind in kinds}
    config.stash[LINES] = lines
    if hasattr(config, "workeroutput"):
        # Sent to the controller of pytest-xdist when this worker ends.
        config.workeroutput["savepoint"] = lines
    uid = worker_input(config).get("testrunuid", uuid.uuid4().hex)
    # Hashed: `--testrunuid` may be any text, and names of databases have a fixed format.
    config.stash[RUN_ID] = hashlib.sha256(uid.encode()).hexdigest()[:8]


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[SESSION] = session


def run_id(config: pytest.Config) -> str:
    """8 hexadecimal digits, the same in all workers of a run."""
    return config.stash[RUN_ID]


def worker_id(config: pytest.Config) -> str:
    """The worker id of pytest-xdist, e.g. "gw0"; "main" without pytest-xdist."""
    return str(worker_input(config).get("workerid", "main"))


def worker_input(config: pytest.Config) -> dict[str, Any]:
    """The input that the controller of pytest-xdist sent to this worker; {} without pytest-xdist."""
    return getattr(config, "workerinput", {})


def stop_run(config: pytest.Config, message: str) -> NoReturn:
    """Stop the run immediately, with this message as its only error: what happened and what to do."""
    end_run(config, message)
    # Without the cause: `--full-trace` would print the frames of drivers, with the URL of the server.
    raise pytest.exit.Exception(ABORTED, returncode=pytest.ExitCode.TESTS_FAILED) from None


def end_run(config: pytest.Config, message: str) -> None:
    """Stop the run with this message after the current test."""
    add_to_summary(config, "stopped", message)
    config.stash[SESSION].shouldfail = ABORTED


def add_to_summary(config: pytest.Config, kind: Kind, *lines: str) -> None:
    """Add lines to the summary, each once for all workers."""
    added = config.stash[LINES][kind]
    added += [line for line in lines if line not in added]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Add the lines of a worker of pytest-xdist."""
    for kind, lines in getattr(node, "workeroutput", {}).get("savepoint", {}).items():
        add_to_summary(node.config, kind, *lines)


def show_server(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write the lines of the server; not with `-q`."""
    for line in config.stash[LINES]["server"] if terminalreporter.verbosity >= 0 else ():
        terminalreporter.write_line(line)


def summarize(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write the other lines. Must be called after pytest's list of failed tests, which may be long."""
    for kind in ("left", "unfilled", "outdated", "notes"):
        for line in config.stash[LINES][kind]:
            terminalreporter.write_line(line)
    for message in config.stash[LINES]["stopped"]:
        terminalreporter.write_sep("=", ABORTED, red=True, bold=True)
        terminalreporter.write_line(message)
