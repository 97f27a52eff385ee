"""The PostgreSQL server of a run: found by the first test that needs one, shared by all workers, named at the end.

A run that cannot go on (no server, a migration that fails, an application that does not start) ends at once, with one
error and not with one per test.
"""

import hashlib
import os
import uuid
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from .network import NETWORK
from .postgres import ladder
from .postgres.server import NoServerError, Server
from .progress import announce, passing

if TYPE_CHECKING:
    from .postgres.run_folder import RunFolder

RUN_ID = pytest.StashKey[str]()
FOLDER = pytest.StashKey["RunFolder"]()
USED = pytest.StashKey[Server]()
SERVER = pytest.StashKey[str]()
SESSION = pytest.StashKey[pytest.Session]()
STOPPED = pytest.StashKey[list[str]]()

CANNOT_GO_ON = "the run cannot go on"

INI_HELP = "The major version of PostgreSQL that production runs, such as 18; tests refuse another one."


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("postgres_version", INI_HELP)
    parser.getgroup("savepoint").addoption(
        "--postgres",
        choices=ladder.CHOICES,
        default="auto",
        help="where the server comes from: TEST_DATABASE_URL, local binaries, or Docker; auto takes the first that "
        "serves, in this order",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[STOPPED] = []
    uid = _worker_input(config).get("testrunuid", uuid.uuid4().hex)
    # Hashed, since `--testrunuid` may be any word, and the names of databases have a form.
    config.stash[RUN_ID] = hashlib.sha256(uid.encode()).hexdigest()[:8]


def run_id(config: pytest.Config) -> str:
    """8 hex characters, the same in all workers of a run."""
    return config.stash[RUN_ID]


def worker_id(config: pytest.Config) -> str:
    """Such as "gw0" of pytest-xdist; "main" without it."""
    return str(_worker_input(config).get("workerid", "main"))


def stop_run(config: pytest.Config, message: str) -> NoReturn:
    """End the whole run, now, with this message as its one error. Say what happened and what to do."""
    end_run(config, message)
    pytest.exit(CANNOT_GO_ON, returncode=pytest.ExitCode.TESTS_FAILED)


def end_run(config: pytest.Config, message: str) -> None:
    """End the run with this message when the test that runs is over."""
    _stopped(config, message)
    if hasattr(config, "workeroutput"):
        config.workeroutput["savepoint_stopped"] = message
    config.stash[SESSION].shouldfail = CANNOT_GO_ON


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[SESSION] = session


@pytest.fixture(scope="session")
def postgres(pytestconfig: pytest.Config) -> Server:
    """A PostgreSQL server of the project's major."""
    network = pytestconfig.stash[NETWORK]
    try:
        with network.let_through():
            server = _find(pytestconfig)
    except NoServerError as failed:
        stop_run(pytestconfig, f"postgres: {failed}")
    network.allowed.append(f"[{server.host}]:{server.port}")
    pytestconfig.stash[USED], pytestconfig.stash[SERVER] = server, _described(server)
    return server


def _find(config: pytest.Config) -> Server:
    choice, major = config.getoption("postgres"), _major(config)
    if not ladder.needs_folder(choice):
        return ladder.find(choice, major, {})
    if os.name == "nt":
        raise NoServerError("on Windows, set TEST_DATABASE_URL, or run the tests in WSL.")
    from .postgres import docker, local
    from .schema import schema_of

    folder = run_folder(config)
    with folder.locked():
        if told := folder.told("server.json"):
            return Server(**told)
        if failed := folder.told("failure.json"):
            raise NoServerError(failed["message"])
        try:
            with passing(config) as say:
                rungs = {
                    "local": partial(local.start, folder, schema=schema_of(config), say=say),
                    "docker": partial(docker.start, folder, announce=partial(announce, config)),
                }
                server = ladder.find(choice, major, rungs)
        except NoServerError as error:
            folder.tell("failure.json", {"message": str(error)})
            raise
        folder.tell("server.json", asdict(server))
    return server


def _major(config: pytest.Config) -> int:
    text = config.getini("postgres_version")
    if not text.isdecimal():
        raise NoServerError(
            f'postgres_version = "{text}" is not a major version. Under [tool.pytest.ini_options] of pyproject.toml, '
            'write one: postgres_version = "18"'
        )
    return int(text)


def run_folder(config: pytest.Config) -> "RunFolder":
    """The folder of this run: the controller's, if this is a worker of pytest-xdist."""
    from .postgres.run_folder import RunFolder

    if FOLDER not in config.stash:
        made_by_controller = _worker_input(config).get("savepoint_folder")
        config.stash[FOLDER] = RunFolder(Path(made_by_controller)) if made_by_controller else RunFolder.make()
    return config.stash[FOLDER]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a new worker of pytest-xdist which folder is its run's."""
    if ladder.needs_folder(node.config.getoption("postgres")) and os.name != "nt":
        node.workerinput["savepoint_folder"] = str(run_folder(node.config).path)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Hear from a worker of pytest-xdist what server it used, and why it stopped the run."""
    output = getattr(node, "workeroutput", {})
    if message := output.get("savepoint_stopped"):
        _stopped(node.config, message)
    if described := output.get("savepoint_server"):
        node.config.stash[SERVER] = described


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["savepoint_server"] = session.config.stash.get(SERVER, None)


def pytest_report_header(config: pytest.Config) -> str:
    return f"postgres: {config.getini('postgres_version')}, {ladder.intended(config.getoption('postgres'))}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if (described := config.stash.get(SERVER, None)) and terminalreporter.verbosity >= 0:
        terminalreporter.write_line(f"postgres: {described}")
    for message in config.stash[STOPPED]:
        terminalreporter.write_sep("=", CANNOT_GO_ON, red=True, bold=True)
        terminalreporter.write_line(message)


def pytest_unconfigure(config: pytest.Config) -> None:
    if FOLDER in config.stash:
        config.stash[FOLDER].close()


def _described(server: Server) -> str:
    place = f", data in {Path(server.host).parent}" if server.rung == "local" else ""
    return f"{server.version} from {server.origin}{place}"


def _stopped(config: pytest.Config, message: str) -> None:
    if message not in config.stash[STOPPED]:
        config.stash[STOPPED].append(message)


def _worker_input(config: pytest.Config) -> dict[str, Any]:
    return getattr(config, "workerinput", {})
