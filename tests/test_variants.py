"""Every variant, lived in: rendered, installed, linted, type-checked, and its suite run on a server of its major."""

import re
import tomllib
from pathlib import Path

import pytest

from tests import interpreters, postgres_majors
from tests.conftest import REQUIRED
from tests.environment import UV, Project, synced
from tests.rendering import Render, locked
from tests.variants import VARIANTS, Variant, typed_as

# A Python is one worker's: its environment is made once, and what mypy has learned there serves the next variant.
EACH = [
    pytest.param(variant, id=str(variant), marks=pytest.mark.xdist_group(f"python{variant.python}"))
    for variant in VARIANTS
]


@pytest.fixture(scope="module", params=EACH)
def variant(request: pytest.FixtureRequest) -> Variant:
    variant: Variant = request.param
    return variant


@pytest.fixture(scope="module")
def project(
    variant: Variant, render: Render, environments: Path, shared: Path, tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """The variant in an environment of the worker's, with just the dependencies that it declares."""
    python = interpreters.found(variant.python)
    if python is None and "python" in REQUIRED:
        pytest.fail(f"Python {variant.python} is required, and uv finds none")
    python = python or interpreters.found(interpreters.OLDEST)
    assert python, "uv finds no Python"
    folder = render.copy(tmp_path_factory.mktemp("variant") / "project", **variant.answers)
    environment = environments / interpreters.serving(variant.python)
    return synced(folder, environment, python, postgres_bin(variant.postgres, shared))


def postgres_bin(major: int, shared: Path) -> Path | None:
    """What POSTGRES_BIN has to say: nothing where a project finds binaries by itself, Debian's or its own wheel's."""
    if major not in postgres_majors.RELEASES:
        return None
    with locked(shared, f"postgres-{major}"):
        failure = shared / f"postgres-{major}.txt"
        try:
            if failure.exists():
                raise postgres_majors.FetchError(failure.read_text())
            folder = postgres_majors.installed(major) or postgres_majors.fetch(major)
        except postgres_majors.FetchError as error:
            failure.write_text(str(error))
            if "postgres" in REQUIRED:
                pytest.fail(str(error))
            pytest.skip(str(error))
    return None if folder.is_relative_to("/usr") else folder


def test_is_formatted(project: Project) -> None:
    project.check(UV, "run", "ruff", "format", "--check", "--diff")


def test_is_linted(project: Project) -> None:
    project.check(UV, "run", "ruff", "check")


def test_is_typed(project: Project, variant: Variant, render: Render) -> None:
    checked = typed_as(variant)
    if variant == checked:
        # With the options of a project that has payments: mypy keeps nothing that it has learned by other options.
        options = [] if variant.payments else ["--untyped-calls-exclude", "stripe"]
        project.check(UV, "run", "mypy", "--strict", *options, ".")
    else:
        # No major of PostgreSQL changes a line of Python.
        assert python_of(project.folder) == python_of(render(**checked.answers))


def python_of(folder: Path) -> dict[str, object]:
    """What mypy reads of a render: its Python files, and its settings but for the version of Python."""
    settings = tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["mypy"]
    del settings["python_version"]
    files = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.py")}
    assert files
    return {"settings": settings, **files}


def test_suite_passes(project: Project, variant: Variant) -> None:
    # As with types: no major of PostgreSQL changes what the tests cover.
    is_covered = variant == typed_as(variant)
    output = project.check(UV, "run", "pytest", *(["--cov"] if is_covered else []))

    assert re.search(rf"^postgres: {variant.postgres}\.\d+ from ", output, re.M), output
    assert re.search(r"^=+ \d+ passed in ", output, re.M), output
    assert ("Required test coverage of 80.0% reached" in output) == is_covered, output


@pytest.mark.xdist_group(f"python{interpreters.OLDEST}")
def test_is_typed_with_the_docker_group(
    render: Render, environment: Path, default_python: Path, tmp_path: Path
) -> None:
    """An ignore for a package that is optional would be unused once it is installed."""
    project = synced(render.copy(tmp_path / "project"), environment, default_python)
    project.check(UV, "sync", "--group", "docker")

    assert "testcontainers" in project.check(UV, "pip", "list", "--python", environment)
    project.check(UV, "run", "--group", "docker", "mypy")
