"""A default project in a Git repository, and its workflows."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from harness.postgres.server import Server

from tests.environment import Project, synced
from tests.rendering import Render, git
from tests.upgrades.lived_in import NO_CONFLICT, Owned
from tests.workflows.runner import Workflow

WorkflowOf = Callable[..., Workflow]


@pytest.fixture(scope="session")
def installed(
    render: Render, environment: Path, default_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """A project with a committed uv.lock, and a coverage threshold of 100 %."""
    folder = render.copy(tmp_path_factory.mktemp("workflows") / "project", coverage_threshold="100")
    project = synced(folder, environment, default_python)
    git(folder, "init", "--quiet", "--initial-branch=main")
    owned = Owned(folder)
    owned.edit("README.md", lambda text: text + NO_CONFLICT)
    owned.commit("Render from Savepoint")
    return project


@pytest.fixture
def owned(installed: Project, tmp_path: Path) -> Owned:
    """A copy of the project that a test can change and commit."""
    return Owned(Path(shutil.copytree(installed.folder, tmp_path / "project")))


@pytest.fixture(scope="session")
def workflow_of(installed: Project, server: Server, tmp_path_factory: pytest.TempPathFactory) -> WorkflowOf:
    """`workflow_of(owned)`: its tests.yml, run in the environment of `installed`."""

    def workflow_of(owned: Owned, name: str = "tests", event: str = "push") -> Workflow:
        return Workflow(Project(owned.folder, installed.env), name, server, tmp_path_factory.mktemp("jobs"), event)

    return workflow_of
