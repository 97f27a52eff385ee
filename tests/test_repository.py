"""This repository keeps the rules that it renders: formatted, linted, typed, pinned."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from tests import releases
from tests.rendering import ROOT, Render, git
from tests.variants import FEATURES

RUFF = Path(sys.executable).with_name("ruff")


def run(*command: str | Path, cwd: Path = ROOT) -> None:
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout


def test_is_formatted() -> None:
    run(RUFF, "format", "--check", "--diff", ".")


def test_is_linted() -> None:
    run(RUFF, "check", ".")


def test_no_test_is_left_out_of_formatting_and_linting() -> None:
    """An exclusion of a folder by its bare name leaves out every folder of that name."""
    seen = subprocess.run([RUFF, "check", "--show-files", "."], cwd=ROOT, check=True, capture_output=True, text=True)

    committed = git(ROOT, "ls-files", "tests/*.py", "benchmarks/*.py", "docs/*.py", "hooks/*.py").split()
    assert {str(ROOT / path) for path in committed} - set(seen.stdout.splitlines()) == set()


def test_is_typed(shared: Path) -> None:
    run(sys.executable, "-m", "mypy", "--cache-dir", shared / "mypy", "tests", "benchmarks", "docs")


@pytest.fixture
def harness(render: Render, tmp_path: Path) -> Path:
    """A folder with the whole rendered harness where the template has it, whose files of features have other names."""
    shutil.copytree(render() / "tests", tmp_path / "template" / "tests", ignore=shutil.ignore_patterns("test_*.py"))
    shutil.copytree(render() / "tests" / "harness", tmp_path / "template/tests/harness", dirs_exist_ok=True)
    return tmp_path


def test_the_harness_is_typed(harness: Path, shared: Path) -> None:
    """Projects leave it out of their own mypy."""
    config: list[str | Path] = ["--config-file", ROOT / "pyproject.toml", "--cache-dir", shared / "mypy-harness"]
    run(sys.executable, "-m", "mypy", *config, "--package", "tests.harness", cwd=harness / "template")


def test_the_harness_is_formatted_and_linted(harness: Path) -> None:
    """Projects leave it out of their own ruff."""
    shutil.copy(ROOT / "pyproject.toml", harness)

    run(RUFF, "format", "--check", "--diff", "--no-cache", "template/tests/harness", cwd=harness)
    run(RUFF, "check", "--no-cache", "template/tests/harness", cwd=harness)


def test_the_harness_has_a_version_and_a_license(harness: Path) -> None:
    text = (harness / "template/tests/harness/__init__.py").read_text()

    [version] = re.findall(r'^__version__ = "(\d+\.\d+\.\d+)"$', text, re.M)
    unreleased = "Unreleased" in releases.sections()
    assert (version == releases.current_version()) != unreleased
    assert "# SPDX-License-Identifier: MIT\n" in text


def test_the_harness_is_short_enough_to_be_read() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in (ROOT / "template/tests/harness").rglob("*.py")}

    assert [path.name for path, lines in lengths.items() if lines >= 200] == []


def test_tools_are_pinned_and_no_lock_is_committed() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]

    assert [tool for tool in groups["dev"] if not re.fullmatch(r"[\w.\[\]-]+==[\d.]+", tool)] == []
    assert git(ROOT, "ls-files", "*uv.lock") == ""


@pytest.mark.xdist_group("kept")
def test_pytest_and_its_xdist_keep_groups_together(request: pytest.FixtureRequest) -> None:
    """What a group shares is made once; versions that disagree on a test's id spread the group, and say nothing."""
    grouping = request.config.getoption("loadgroup", False)

    assert request.node.nodeid.endswith("@kept") or not grouping


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("features", FEATURES, ids=str)
def test_a_render_is_clean_by_the_rules_of_each_python(render: Render, python: str, features: dict[str, bool]) -> None:
    """Newer Pythons are formatted and linted otherwise, and this machine need not have them for that."""
    project = render(python_version=python, **features)

    run(RUFF, "format", "--check", "--diff", "--no-cache", project)
    run(RUFF, "check", "--no-cache", project)


def test_ci_is_a_script_that_bash_reads() -> None:
    run("bash", "-n", ROOT / ".ci/run")


def test_every_test_is_in_one_job_of_the_workflow() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())
    *groups, rest = [job["tests"].split() for job in workflow["jobs"]["tests"]["strategy"]["matrix"]["include"]]
    named = [path for group in groups for path in group]

    assert [path for path in named if not (ROOT / path).is_dir()] == []
    assert sorted(rest) == sorted(["tests", *(f"--ignore={path}" for path in named)])
    assert len(set(named)) == len(named)
