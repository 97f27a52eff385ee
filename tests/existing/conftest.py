"""A service that is older than the harness, to try the harness in."""

import shutil
from collections.abc import Callable
from pathlib import Path

import copier
import pytest

from tests.environment import UV, Project, synced
from tests.mistakes.catalogue import Edit
from tests.mistakes.project import Changed
from tests.rendering import Render

SERVICES = Path(__file__).with_name("services")
CHECKS = "tests/harness/checks"


Add = Callable[..., None]


@pytest.fixture(scope="session")
def add(template: Path) -> Add:
    """`add(folder, tests_folder="app/tests")`: add the harness to a service, as README.md says."""

    def add(folder: Path, **answers: object) -> None:
        data = {"service": "existing", **answers}
        copier.run_copy(str(template), folder, data=data, defaults=True, vcs_ref="HEAD", quiet=True)

    return add


@pytest.fixture(scope="session")
def flat(render: Render, add: Add, environment: Path, default_python: Path, environments: Path) -> Project:
    """`services/flat` with the harness: `app/`, an engine made at import, env.py of `alembic init -t async`."""
    folder = environments / "flat"
    shutil.copytree(SERVICES / "flat", folder)
    add(folder)
    return Project(folder, synced(render(), environment, default_python).env)


@pytest.fixture(scope="session")
def synchronous(add: Add, default_python: Path, environments: Path) -> Project:
    """`services/synchronous` with the harness, as README.md adds it, in an environment of its own: without asyncpg."""
    folder = environments / "synchronous"
    shutil.copytree(SERVICES / "synchronous", folder)
    add(folder)
    project = synced(folder, environments / "synchronous-environment", default_python)
    project.check(UV, "add", "--dev", "-r", "tests/harness-requirements.txt")
    return project


@pytest.fixture
def notebook(synchronous: Project, tmp_path: Path) -> Changed:
    """A copy, for one test to write into."""
    return Changed.of(synchronous, tmp_path / "notebook", [])


@pytest.fixture
def service(flat: Project, tmp_path: Path) -> Changed:
    """A copy, for one test to write into."""
    return Changed.of(flat, tmp_path / "flat", [])


def changed(service: Changed, path: str, old: str, new: str) -> Changed:
    """Replace text of a file of the service, which must have it once."""
    Edit(path, old, new).make(service.folder)
    return service
