"""The run: which it is, which worker this is, how it is stopped, and what its summary says for all workers.

A run that cannot go on (no server, a migration that fails, an application that does not start) ends at once, with one
error and not with one per test.
"""

import hashlib
import uuid
from typing import Any, Literal, NoReturn

import pytest

RUN_ID = pytest.StashKey[str]()
SESSION = pytest.StashKey[pytest.Session]()

# Lines of the summary: which server, which is left out by `-q`; why the run was stopped; what is left of it; old names.
Kind = Literal["server", "stopped", "left", "deprecated"]
LINES = pytest.StashKey[dict[Kind, list[str]]]()

ABORTED = "Test run aborted"


def configure(config: pytest.Config) -> None:
    lines: dict[Kind, list[str]] = {"server": [], "stopped": [], "left": [], "deprecated": []}
    config.stash[LINES] = lines
    if hasattr(config, "workeroutput"):
        # Sent to the controller of pytest-xdist when this worker ends.
        config.workeroutput["savepoint"] = lines
    uid = worker_input(config).get("testrunuid", uuid.uuid4().hex)
    # Hashed, since `--testrunuid` may be any word, and the names of databases have a form.
    config.stash[RUN_ID] = hashlib.sha256(uid.encode()).hexdigest()[:8]


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[SESSION] = session


def run_id(config: pytest.Config) -> str:
    """8 hex characters, the same in all workers of a run."""
    return config.stash[RUN_ID]


def worker_id(config: pytest.Config) -> str:
    """Such as "gw0" of pytest-xdist; "main" without it."""
    return str(worker_input(config).get("workerid", "main"))


def worker_input(config: pytest.Config) -> dict[str, Any]:
    """What the controller of pytest-xdist has sent to this worker; {} without one."""
    return getattr(config, "workerinput", {})


def stop_run(config: pytest.Config, message: str) -> NoReturn:
    """End the whole run, now, with this message as its one error. Say what happened and what to do."""
    end_run(config, message)
    pytest.exit(ABORTED, returncode=pytest.ExitCode.TESTS_FAILED)


def end_run(config: pytest.Config, message: str) -> None:
    """End the run with this message when the test that runs is over."""
    add_to_summary(config, "stopped", message)
    config.stash[SESSION].shouldfail = ABORTED


def add_to_summary(config: pytest.Config, kind: Kind, *lines: str) -> None:
    """Let the summary say this, once for all workers."""
    added = config.stash[LINES][kind]
    added += [line for line in lines if line not in added]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Take over the lines of a worker of pytest-xdist."""
    for kind, lines in getattr(node, "workeroutput", {}).get("savepoint", {}).items():
        add_to_summary(node.config, kind, *lines)


def summarize(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash[LINES]["server"] if terminalreporter.verbosity >= 0 else ():
        terminalreporter.write_line(line)
    for message in config.stash[LINES]["stopped"]:
        terminalreporter.write_sep("=", ABORTED, red=True, bold=True)
        terminalreporter.write_line(message)
    for line in [*config.stash[LINES]["left"], *config.stash[LINES]["deprecated"]]:
        terminalreporter.write_line(line)
