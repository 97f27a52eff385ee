"""Formatters, fixers and checkers that an owner runs leave the harness alone."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.environment import UV
from tests.pages import toml_blocks
from tests.rendering import Render, files

RUFF = [sys.executable, "-m", "ruff"]
FILE = "tests/harness/app/client.py"


def harness(project: Path) -> dict[str, bytes]:
    return {path: (project / path).read_bytes() for path in files(project) if path.startswith("tests/harness/")}


@pytest.fixture
def project(render: Render, tmp_path: Path) -> Path:
    """A project whose pyproject.toml excludes the harness for no tool, with a house line length."""
    project = render.copy(tmp_path / "project")
    settings = (project / "pyproject.toml").read_text()
    settings, count = re.subn(r'extend-exclude = \["tests/harness"\]\nforce-exclude = true\n', "", settings)
    assert count == 1
    (project / "pyproject.toml").write_text(settings.replace("line-length = 120", "line-length = 100"))
    return project


@pytest.mark.parametrize(
    "arguments",
    [
        ["format", "."],
        ["format", FILE],
        ["format", "--force-exclude", FILE],
        ["check", "--fix", "."],
        ["check", "--fix", FILE],
        ["check", "--fix", "--select=ALL", "--unsafe-fixes", "."],
    ],
    ids=" ".join,
)
def test_ruff(project: Path, arguments: Sequence[str]) -> None:
    before = harness(project)

    done = subprocess.run([*RUFF, *arguments], cwd=project, capture_output=True, text=True)

    assert harness(project) == before
    assert "tests/harness" not in done.stdout


def test_ruff_leaves_what_an_update_merges(project: Path) -> None:
    """Outside of the harness, too: with the house line length of the fixture."""
    merged = ["tests/README.md", "migrations/env.py"]
    before = [(project / name).read_bytes() for name in merged]

    done = subprocess.run([*RUFF, "format", *merged], cwd=project, capture_output=True, text=True)

    assert done.stdout == "2 files left unchanged\n"
    assert [(project / name).read_bytes() for name in merged] == before


@pytest.mark.parametrize(
    "tool",
    [
        ["black==26.10.1", "black", "--line-length=100", "."],
        ["black==26.10.1", "black", "--line-length=100", FILE],
        ["isort==9.0.2", "isort", "--line-length=60", "."],
        ["isort==9.0.2", "isort", "--line-length=60", FILE],
        ["codespell==2.4.3", "codespell", "--write-changes", "."],
    ],
    ids=lambda tool: " ".join(tool[1:]),
)
def test_the_lines_of_the_page_for_other_tools(project: Path, tool: Sequence[str]) -> None:
    [lines] = toml_blocks((project / "tests/README.md").read_text(), "### Your formatters and type checkers")
    package, *command = tool
    # Something to do for each, where it is not excluded.
    (project / "src/my_service/untidy.py").write_text("import sys\nimport os\nvalue = {  'a':1 } # recieve\n")
    (project / "tests/harness/untidy.py").write_text("import sys\nimport os\nvalue = {  'a':1 } # recieve\n")
    with (project / "pyproject.toml").open("a") as settings:
        settings.write(f"\n{lines}")
    before = harness(project)

    command = [FILE.replace("app/client", "untidy") if argument == FILE else argument for argument in command]
    subprocess.run([UV, "tool", "run", "--from", package, *command], cwd=project, capture_output=True, check=False)

    assert harness(project) == before
    if command[-1] == ".":
        assert (project / "src/my_service/untidy.py").read_bytes() != before["tests/harness/untidy.py"]


def test_the_lines_of_the_page_for_pyright(project: Path) -> None:
    [lines] = toml_blocks((project / "tests/README.md").read_text(), "### Your formatters and type checkers")
    for folder in ("src/my_service", "tests/harness"):
        (project / folder / "wrong.py").write_text("number: int = 'a string'\n")
    with (project / "pyproject.toml").open("a") as settings:
        settings.write(f"\n{lines}")

    # It downloads itself with npm, for which the wheel brings Node.
    command = [UV, "tool", "run", "--from", "pyright[nodejs]==1.1.414", "pyright", "--outputjson"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)

    of_files = [entry["file"] for entry in json.loads(done.stdout)["generalDiagnostics"]]
    assert str(project / "src/my_service/wrong.py") in of_files
    assert not [file for file in of_files if "/tests/harness/" in file]
