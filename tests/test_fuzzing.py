"""Fuzzing in a rendered project: it passes as rendered, and fuzzing finds errors."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.environment import UV, Project, synced
from tests.mistakes.catalogue import Change, Edit, File
from tests.mistakes.project import Changed, Outcome
from tests.mistakes.routes import included
from tests.rendering import Render

pytestmark = pytest.mark.xdist_group("fuzzing")

FUZZ = "tests/harness/checks/fuzz.py"

# The same few requests in each run.
FEW = "seed = 1\n[generation]\ndeterministic = true\nmax-examples = {}\n\n[phases.stateful]\nenabled = {}\n\n"

# Of one path alone, where a test is about what is found in it: `test_the_rendered_service_passes` sends all.
ONLY = '\n[[operations]]\nexclude-path = "{}"\nenabled = false\n'

Fuzz = Callable[..., Outcome]


@pytest.fixture(scope="session")
def with_schemathesis(
    render: Render, environments: Path, default_python: Path
) -> Callable[[dict[str, object]], Project]:
    """`with_schemathesis(answers)`: a project of these answers, with the dependency group `fuzz` installed."""

    def project_of(answers: dict[str, object]) -> Project:
        name = "-".join(["fuzz", *(f"{name}-{value}" for name, value in answers.items())])
        folder = environments / name
        if not folder.exists():
            render.copy(folder, package_name="shop", **answers)
        project = synced(folder, environments / "fuzz-environment", default_python)
        project.check(UV, "sync", "--group", "fuzz")
        return project

    return project_of


@pytest.fixture
def fuzz(with_schemathesis: Callable[[dict[str, object]], Project], url: str, tmp_path: Path) -> Fuzz:
    """`fuzz(*changes, only="/users")`: the outcome of fuzzing a project with these changes, here of one path."""

    def fuzz(
        *changes: Change, only: str | None = None, examples: int = 5, stateful: bool = False, **answers: object
    ) -> Outcome:
        changed = Changed.of(with_schemathesis(answers), tmp_path / "shop", changes)
        settings = tmp_path / "shop" / "schemathesis.toml"
        few = FEW.format(examples, str(stateful).lower())
        settings.write_text(few + settings.read_text() + (ONLY.format(only) if only else ""))
        return changed.pytest(FUZZ, TEST_DATABASE_URL=url)

    return fuzz


@pytest.mark.parametrize("feature", [True, False], ids=["default", "bare"])
def test_the_rendered_service_passes(fuzz: Fuzz, tmp_path: Path, feature: bool) -> None:
    outcome = fuzz(examples=20, stateful=True, auth=feature, payments=feature)

    assert outcome.code == 0, outcome.output
    # The output of schemathesis.
    assert "Coverage" in outcome.output
    assert "Stateful" in outcome.output
    # What it leaves in the project.
    assert (tmp_path / "shop" / ".schemathesis").is_dir()
    assert ".schemathesis/\n" in (tmp_path / "shop" / ".gitignore").read_text()


THING = """
from fastapi import APIRouter

router = APIRouter()


@router.get("/thing")
async def thing(number: int) -> int:
    return 6 // number
"""


def test_a_500_is_found_with_its_place(fuzz: Fuzz) -> None:
    public = Edit("pyproject.toml", "public_routes = [\n", 'public_routes = [\n  "GET /thing",\n')

    outcome = fuzz(File("src/shop/things.py", THING), included("things"), public, only="/thing")

    assert outcome.code == 1, outcome.output
    assert "Server error" in outcome.output
    assert "number=0" in outcome.output
    [said] = outcome.failed.values()
    assert "Responses with status 500:\n  GET /thing: ZeroDivisionError (src/shop/things.py:9, in thing)" in said


def test_an_undocumented_status_is_found(fuzz: Fuzz) -> None:
    outcome = fuzz(
        Edit("src/shop/users.py", "responses=refusals(401, 404)", "responses=refusals(401)"), only="/users/{id}"
    )

    assert outcome.code == 1, outcome.output
    assert "Undocumented status code" in outcome.output
    assert "Received: 404" in outcome.output
    assert "curl -X GET" in outcome.output


def test_guards_are_active(fuzz: Fuzz) -> None:
    outcome = fuzz(
        Edit(
            "src/shop/users.py",
            "    db.add(user)\n    await db.flush()\n",
            '    logging.getLogger("shop").warning(body.password.get_secret_value())\n'
            "    db.add(user)\n    await db.flush()\n",
        ),
        Edit("src/shop/users.py", "from typing import Annotated\n", "import logging\nfrom typing import Annotated\n"),
        only="/users",
    )

    [said] = outcome.failed.values()
    message = "guard leaked_secret: POST /users: logger shop contains the value of the request's field `password`"
    assert said.startswith(message), said


NOT_IMPORTED = """
import sys

def test_of_imports() -> None:
    assert "schemathesis" not in sys.modules
"""


def test_other_runs_do_not_import_it(with_schemathesis: Callable[[dict[str, object]], Project], tmp_path: Path) -> None:
    project = with_schemathesis({})
    assert (Path(project.env["UV_PROJECT_ENVIRONMENT"]) / "bin" / "st").exists()

    changed = Changed.of(project, tmp_path / "shop", [File("tests/test_it.py", NOT_IMPORTED)])
    outcome = changed.pytest_from_start("tests/test_it.py")

    assert len(outcome.passed) == 1, outcome.output


def test_a_missing_schemathesis_is_one_line(
    render: Render, environment: Path, default_python: Path, tmp_path: Path, url: str
) -> None:
    project = synced(render(), environment, default_python)

    outcome = Changed.of(project, tmp_path / "copy", []).pytest(FUZZ, TEST_DATABASE_URL=url)

    [said] = outcome.failed.values()
    assert said == (
        "schemathesis is not installed. Run: uv run --group fuzz pytest tests/harness/checks/fuzz.py\n"
        "Or install schemathesis and uvicorn."
    )
