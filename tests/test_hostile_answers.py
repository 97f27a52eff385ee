"""Whatever is answered: a refusal that leaves nothing behind, or a project that is read everywhere as it should be."""

import ast
import configparser
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.environment import UV, synced
from tests.rendering import Render

RUFF = Path(sys.executable).with_name("ruff")

# What ends a string, opens a block, is substituted, or is more than it looks like, in some language of a rendered file.
FRAGMENTS = [
    *['"', "'", '"""', "'''", "`", "\\", "\\n", "\n", "\r", "\t", "\0", "\x1b[31m", "\u2028", "\u202e", "\ufeff"],
    *["{{ 7 * 7 }}", "{% raw %}", "{% endraw %}", "{# x #}", "${{ secrets.X }}", "${HOME}", "$(id)", "%(here)s", "%s"],
    *[
        "# x",
        " #",
        ": ",
        "- ",
        "!!python/object:x",
        "&a",
        "*a",
        "<<: *a",
        "[x]",
        "]]>",
        "|",
        ">",
        "---",
        "~",
        "null",
        "yes",
    ],
    *[
        "; rm -rf /",
        "&& id",
        "<script>",
        "../../x",
        "😀",
        "👩‍👩‍👧‍👦",
        "שלום",
        "مرحبا",
        "e\u0301",
        "ﬀ",
        "İ",
        "ß",
        "a" * 100,
    ],
]

ANY_TEXT = st.text(max_size=40) | st.lists(st.sampled_from(FRAGMENTS), max_size=6).map("".join)
NAMES = ANY_TEXT | ANY_TEXT.map(lambda text: f"Shop {text}") | ANY_TEXT.map(lambda text: text + "x")
PACKAGES = ANY_TEXT | st.from_regex(r"[a-z][a-z0-9_]{0,30}", fullmatch=True)
PERCENTS = ANY_TEXT | st.integers(-1, 101).map(str)

# Of these, one line and a letter: they are taken.
ODD = ["""\\"''' {{ 7 * 7 }} {% raw %} %(here)s ${HOME} `id` #: x""", "שלום 😀 *&!!<>|~ - ﬀ İ ß e\u0301"]


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(name=NAMES, package=PACKAGES | st.none(), percent=PERCENTS | st.none())
@example(name="x" * 10_000, package=None, percent=None)
@example(name="x", package="y" * 10_000, percent="9" * 10_000)
@example(name=ODD[0], package=None, percent="0")
@example(name=ODD[1], package=None, percent="100")
def test_a_refusal_or_a_project(
    template: Path, tmp_path: Path, name: str, package: str | None, percent: str | None
) -> None:
    project = tmp_path / "project"
    answers = {"project_name": name, "package_name": package, "coverage_threshold": percent}
    data = {question: answer for question, answer in answers.items() if answer is not None}

    try:
        copier.run_copy(str(template), project, data=data, defaults=True, vcs_ref="HEAD", quiet=True)
    except ValueError as error:
        refusal = str(error)
    else:
        refusal = ""
    if refusal:
        assert "question '" in refusal
        assert not project.exists()
        return
    try:
        assert unreadable(project) == []
        for command in (["check"], ["format", "--check"]):
            done = subprocess.run([RUFF, *command, "--no-cache", "."], cwd=project, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout
        assert remembered(project)["project_name"] == name
    finally:
        shutil.rmtree(project)


def remembered(project: Path) -> dict[str, Any]:
    answers: dict[str, Any] = yaml.safe_load((project / ".copier-answers.yml").read_text())
    return answers


def unreadable(project: Path) -> list[str]:
    """The files that are not what their names say, each with the reason."""
    found = []
    for path in sorted(path for path in project.rglob("*") if path.is_file()):
        try:
            read(path)
        except (ValueError, SyntaxError, yaml.YAMLError, configparser.Error) as error:
            found.append(f"{path.relative_to(project)}: {error}")
    return found


def read(path: Path) -> None:
    text = path.read_text()
    match path.suffix:
        case ".py":
            ast.parse(text)
        case ".toml":
            tomllib.loads(text)
        case ".yml" | ".yaml":
            assert yaml.safe_load(text)
        case ".json":
            json.loads(text)
        case ".ini":
            parser = configparser.ConfigParser(defaults={"here": "."})
            parser.read_string(text)
            # Interpolates, as Alembic does in its section; those of logging are read as they stand.
            assert parser.items("alembic")
        case _ if path.name == ".env.example":
            assert all(re.match(r"(#|[A-Z_]+=|$)", line) for line in text.splitlines())


@pytest.fixture(params=ODD, ids=["quotes and braces", "scripts and signs"])
def odd_project(request: pytest.FixtureRequest, render: Render, tmp_path: Path) -> Path:
    return render.copy(tmp_path / "odd", project_name=request.param, package_name="odd")


def test_an_odd_name_runs_its_suite(odd_project: Path, environment: Path, default_python: Path) -> None:
    project = synced(odd_project, environment, default_python)

    output = project.check(UV, "run", "pytest", "-q")

    assert " passed" in output
