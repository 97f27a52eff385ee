"""Tests for pytest-asyncio run on AnyIO's loop; without it, they are refused, as is a second `anyio_backend`."""

import re
from pathlib import Path

import pytest

from tests.environment import UV, Project, synced
from tests.harness.sample import Outcome, Sample

# One worker has the environment with pytest-asyncio.
pytestmark = pytest.mark.xdist_group("asyncio")

MARKED = """
import pytest
from httpx import AsyncClient

@pytest.mark.asyncio
async def test_health(client: AsyncClient) -> None:
    assert (await client.get("/health")).status_code == 200
"""

MODULE_MARKED = "import pytest\npytestmark = pytest.mark.asyncio\n" + "".join(
    f"async def test_{number}() -> None: ...\n" for number in range(20)
)

FIXTURE = """
import pytest_asyncio
from httpx import AsyncClient

@pytest_asyncio.fixture
async def status(client: AsyncClient) -> int:
    return (await client.get("/health")).status_code

async def test_health(status: int) -> None:
    assert status == 200
"""

ONE_LOOP = """
import asyncio
import pytest
import pytest_asyncio
from httpx import AsyncClient

LOOPS = set()

@pytest_asyncio.fixture(scope="session")
async def returned() -> int:
    LOOPS.add(asyncio.get_running_loop())
    return 200

@pytest_asyncio.fixture
async def status(client: AsyncClient) -> int:
    LOOPS.add(asyncio.get_running_loop())
    yield (await client.get("/health")).status_code

@pytest.fixture(scope="session")
def event_loop() -> asyncio.AbstractEventLoop:
    "As suites for pytest-asyncio before 1.0 have it."
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()

def test_that_is_synchronous(status: int, returned: int, unused_tcp_port: int) -> None:
    assert status == returned

@pytest.mark.asyncio
async def test_with_a_mark(client: AsyncClient, status: int, returned: int) -> None:
    LOOPS.add(asyncio.get_running_loop())
    assert (await client.get("/health")).status_code == status == returned

@pytest.mark.asyncio(loop_scope="class")
class TestOfAClass:
    async def test_with_a_mark(self, client: AsyncClient, status: int) -> None:
        LOOPS.add(asyncio.get_running_loop())
        assert (await client.get("/health")).status_code == status

@pytest.mark.asyncio
async def test_with_an_event_loop(client: AsyncClient, event_loop: asyncio.AbstractEventLoop) -> None:
    assert (await client.get("/health")).status_code == 200

def test_all_have_used_one_loop() -> None:
    assert len(LOOPS) == 1
"""

LEAKING = """
import asyncio
import pytest

@pytest.mark.asyncio
async def test_with_a_task() -> None:
    asyncio.create_task(asyncio.sleep(60), name="leaked")

@pytest.mark.asyncio
async def test_after_it() -> None: ...
"""

HEALTH = """
from httpx import AsyncClient
async def test_health(client: AsyncClient) -> None:
    assert (await client.get("/health")).status_code == 200
async def test_health_again(client: AsyncClient) -> None:
    assert (await client.get("/health")).status_code == 200
"""

RIGHT = """
import pytest

@pytest.fixture(params=["asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param

async def test_of_no_application() -> None: ...
"""

BLOCKED = '  "-p", "no:asyncio",\n'


@pytest.fixture(scope="module")
def asyncio_project(sample_project: Project, environments: Path, default_python: Path) -> Project:
    """The sample, in an environment with pytest-asyncio."""
    project = synced(sample_project.folder, environments / "asyncio-environment", default_python)
    project.check(UV, "pip", "install", "-q", "--python", project.python, "pytest-asyncio>=1.5")
    return project


@pytest.fixture
def with_asyncio(asyncio_project: Project, tmp_path: Path) -> Sample:
    """The sample without its own tests, where pytest-asyncio is installed."""
    return Sample.of(asyncio_project, tmp_path / "sample")


def not_blocked(sample: Sample, settings: str = "") -> None:
    """Let pytest-asyncio be loaded, and set what it reads."""
    pyproject = (sample.folder / "pyproject.toml").read_text()
    assert BLOCKED in pyproject
    sample.write("pyproject.toml", pyproject.replace(BLOCKED, "").replace("xfail_strict", f"{settings}xfail_strict"))


def errors(outcome: Outcome) -> list[str]:
    """The lines of the one error, after which no test has run."""
    assert outcome.code == pytest.ExitCode.USAGE_ERROR, outcome.output
    assert "Traceback" not in outcome.output
    assert " passed" not in outcome.output
    _, _, error = outcome.output.partition("ERROR: ")
    return error.strip().splitlines()


def test_a_mark_where_pytest_asyncio_is_missing(sample: Sample) -> None:
    sample.write("tests/test_a.py", MARKED)
    sample.write("tests/test_b.py", MODULE_MARKED)

    [error] = errors(sample.pytest())

    assert error.startswith("tests/test_a.py:5, tests/test_b.py:2: delete @pytest.mark.asyncio")


def test_marks_in_many_places_are_counted(sample: Sample) -> None:
    for number in range(8):
        sample.write(f"tests/test_{number}.py", MARKED)

    [error] = errors(sample.pytest())

    assert re.match(r"tests/test_0.py:5, (tests/test_\d.py:5, ){3}tests/test_4.py:5 and 3 more: delete", error)


def test_a_mark_and_a_fixture_where_it_is_blocked(with_asyncio: Sample) -> None:
    with_asyncio.write("tests/test_a.py", MARKED)
    with_asyncio.write("tests/test_b.py", FIXTURE)

    mark, fixture = errors(with_asyncio.pytest())

    assert mark.startswith("tests/test_a.py:5: delete @pytest.mark.asyncio")
    assert fixture.startswith("tests/test_b.py:5: write @pytest.fixture instead of @pytest_asyncio.fixture")


def test_an_import_where_it_is_missing(sample: Sample) -> None:
    sample.write("tests/test_a.py", FIXTURE)
    sample.write("tests/test_b.py", HEALTH)

    [error] = errors(sample.pytest())

    assert error.startswith("tests/test_a.py:2, tests/test_a.py:5: write @pytest.fixture")


def test_settings_where_it_is_missing(sample: Sample) -> None:
    pyproject = (sample.folder / "pyproject.toml").read_text()
    sample.write("pyproject.toml", pyproject.replace("xfail_strict", 'asyncio_mode = "auto"\nxfail_strict'))
    sample.write("tests/test_a.py", HEALTH)

    [error] = errors(sample.pytest())

    assert error.startswith("pyproject.toml: delete asyncio_mode")


@pytest.mark.parametrize("mode", ["strict", "auto"])
@pytest.mark.parametrize("scope", ["function", "session"])
def test_what_is_written_for_it_runs_on_one_loop(with_asyncio: Sample, mode: str, scope: str) -> None:
    scopes = "".join(f'asyncio_default_{what}_loop_scope = "{scope}"\n' for what in ("fixture", "test"))
    not_blocked(with_asyncio, f'asyncio_mode = "{mode}"\n{scopes}')
    pyproject = (with_asyncio.folder / "pyproject.toml").read_text()
    assert 'anyio_mode = "auto"\n' in pyproject
    with_asyncio.write("pyproject.toml", pyproject.replace('anyio_mode = "auto"\n', ""))
    with_asyncio.write("tests/test_a.py", ONE_LOOP)
    with_asyncio.write("tests/test_b.py", MODULE_MARKED)

    outcome = with_asyncio.pytest("-p", "no:randomly", "-W", "error")

    assert "25 passed" in outcome.output, outcome.output


def test_its_tests_are_guarded(with_asyncio: Sample) -> None:
    not_blocked(with_asyncio, 'asyncio_default_fixture_loop_scope = "function"\n')
    with_asyncio.write("tests/test_a.py", LEAKING)

    outcome = with_asyncio.pytest("-p", "no:randomly")

    assert "1 failed, 1 passed" in outcome.output, outcome.output
    assert "guard leaked_task: task leaked (sleep) was still running" in outcome.output


@pytest.mark.parametrize("options", ['params=["asyncio", "trio"], scope="session"', "", 'scope="module"'])
@pytest.mark.parametrize("file", ["tests/conftest.py", "tests/test_a.py"])
def test_another_backend(sample: Sample, file: str, options: str) -> None:
    sample.write("tests/test_a.py", HEALTH)
    text = (sample.folder / file).read_text()
    fixture = f'\n@pytest.fixture({options})\ndef anyio_backend():\n    return "asyncio"\n'
    sample.write(file, f"import pytest\n{text}{fixture}")

    [error] = errors(sample.pytest())

    assert error.startswith(f"{file}:{len(text.splitlines()) + 3}: delete the fixture anyio_backend")


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")], ids=["after", "before"])
def test_backends_that_are_right(sample: Sample, order: tuple[str, str]) -> None:
    shared, own = order
    sample.write(f"tests/test_{shared}.py", HEALTH)
    sample.write(f"tests/test_{own}.py", RIGHT)
    conftest = (sample.folder / "tests" / "conftest.py").read_text()
    backend = '\n@pytest.fixture(scope="session")\ndef anyio_backend():\n    return "asyncio", {"debug": False}\n'
    sample.write("tests/conftest.py", conftest + backend)

    outcome = sample.pytest("-p", "no:randomly")

    assert "3 passed" in outcome.output, outcome.output


def test_pytest_asyncio_that_nothing_asks_for(with_asyncio: Sample) -> None:
    not_blocked(with_asyncio, 'asyncio_default_fixture_loop_scope = "function"\n')
    with_asyncio.write("tests/test_a.py", HEALTH)

    outcome = with_asyncio.pytest()

    assert "2 passed" in outcome.output, outcome.output


def test_a_project_that_runs_its_tests_by_pytest_asyncio(with_asyncio: Sample) -> None:
    scopes = "".join(f'asyncio_default_{what}_loop_scope = "session"\n' for what in ("fixture", "test"))
    not_blocked(with_asyncio, f'asyncio_mode = "auto"\n{scopes}')
    pyproject = (with_asyncio.folder / "pyproject.toml").read_text()
    pyproject = pyproject.replace('anyio_mode = "auto"\n', "")
    with_asyncio.write(
        "pyproject.toml", pyproject.replace('"--strict-markers",', '"--strict-markers", "-p", "no:anyio",')
    )
    with_asyncio.write("tests/test_a.py", MARKED)
    with_asyncio.write("tests/test_b.py", FIXTURE)

    outcome = with_asyncio.pytest()

    assert "2 passed" in outcome.output, outcome.output


def test_with_two_workers(sample: Sample) -> None:
    sample.write("tests/test_a.py", MARKED)

    outcome = sample.pytest("-n", "2")

    assert outcome.code != 0
    assert outcome.error.startswith("tests/test_a.py:5: delete @pytest.mark.asyncio")
    assert "INTERNALERROR" not in outcome.output
