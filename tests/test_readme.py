"""README.md's commands do what it says they do."""

import html
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests import interpreters
from tests.environment import TIMEOUT, UV, clean, synced
from tests.pages import python_blocks, shell_blocks
from tests.rendering import ROOT, Render


def commands() -> list[str]:
    return shell_blocks((ROOT / "README.md").read_text(), "## Try it")


def test_two_commands_stand_near_the_top() -> None:
    assert len(commands()) == 2
    assert (ROOT / "README.md").read_text().index(commands()[1]) < 1500


def test_the_first_lines_count_the_mistakes_of_the_table() -> None:
    page = (ROOT / "README.md").read_text()

    [counted] = re.findall(r"^(\d+) mistakes are caught: ", page, re.M)
    assert f"[{counted} catalogued mistakes](#what-it-catches)" in page.partition("## Try it")[0]


def test_the_default_project_is_rendered_and_its_suite_passes(template: Path, tmp_path: Path) -> None:
    """Typed as it stands, but for Copier, which is the version that is tested here and not today's."""
    checkout = tmp_path / "savepoint"
    shutil.copytree(template, checkout)
    copier = f"{sys.executable} -m copier"
    script = commands()[0].replace("uvx copier", copier)
    env = clean(os.environ) | {"UV_PYTHON": interpreters.OLDEST, "PATH": f"{Path(UV).parent}:{os.environ['PATH']}"}

    done = subprocess.run(
        ["bash", "-c", script], cwd=checkout, env=env, capture_output=True, text=True, timeout=TIMEOUT
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert copier in script
    assert re.search(r"^=+ \d+ passed in ", done.stdout, re.M)
    assert (tmp_path / "my-service" / "uv.lock").exists()


def test_the_example_passes(render: Render, environment: Path, default_python: Path, tmp_path: Path) -> None:
    folder = render.copy(tmp_path / "my-service", package_name="my_service")
    [example] = python_blocks((ROOT / "README.md").read_text(), "## A test")
    (folder / "tests" / "test_coffee.py").write_text(example)
    project = synced(folder, environment, default_python)

    output = project.check(UV, "run", "pytest", "tests/test_coffee.py")

    assert re.search(r"^=+ 2 passed in ", output, re.M)
    project.check(UV, "run", "ruff", "check", "tests/test_coffee.py")
    project.check(UV, "run", "ruff", "format", "--check", "tests/test_coffee.py")


def test_the_picture_shows_the_questions() -> None:
    picture = html.unescape((ROOT / "docs/pictures/questions.svg").read_text())
    questions = yaml.safe_load((ROOT / "copier.yml").read_text())
    of_new = [
        details
        for details in questions.values()
        if isinstance(details, dict) and "help" in details and "'existing'" not in str(details.get("when"))
    ]
    asked = [details["help"] for details in of_new]
    assert len(asked) == 8

    missing = [line for question in asked for line in question.splitlines() if line not in picture]
    assert missing == [], "record it: uv run python -m docs"


def test_the_template_is_tested_by_pytest() -> None:
    assert commands()[1] == "uv run pytest\n"


@pytest.mark.parametrize("path", [".ci/run", ".github/workflows/tests.yml"])
def test_ci_does_what_the_readme_says(path: str) -> None:
    assert (".ci/run" if "workflows" in path else "uv run pytest") in (ROOT / path).read_text()
