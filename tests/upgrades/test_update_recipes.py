"""The recipes of docs/updates.md, each done word for word; only the addresses are replaced."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.pages import shell_blocks
from tests.quick_renders import COPIER
from tests.rendering import ROOT, git
from tests.upgrades.conftest import Rendered
from tests.upgrades.history import History
from tests.upgrades.lived_in import Owned
from tests.upgrades.typed import typed

FILE = "tests/harness/core/new_idea.py"
IDEA = '"""A new idea."""\n'
# Tests fail in a project that has this file.
UV = '#!/bin/sh\n[ "$1 $2" != "run pytest" ] || [ ! -e broken ]\n'


@pytest.fixture
def evolved(history: History, tmp_path: Path) -> History:
    """The template with a later version."""
    return history.evolve(tmp_path / "later", {FILE: IDEA})


def of(evolved: History, project: Owned, before: History) -> Owned:
    """The project, as one of this template's."""
    project.replace(".copier-answers.yml", f"_src_path: {before.folder}", f"_src_path: {evolved.folder}")
    return project


def walk(heading: str, folder: Path, **replaced: str) -> subprocess.CompletedProcess[str]:
    """Type the commands of a section into a shell."""
    [script] = shell_blocks((ROOT / "docs/updates.md").read_text(), heading)
    for name, value in replaced.items():
        script, count = re.subn(rf"\b{name}=\S+", f"{name}={shlex.quote(value)}", script)
        assert count == 1, name
    return typed(script, folder, UV, "-e")


def test_an_update_that_died_midway(history: History, project: Owned, evolved: History) -> None:
    of(evolved, project, history).commit("The template has moved")
    before = project.contents()
    project.write("tests/harness/half.py", "half of a new")
    project.write("renovate.json", "{")
    project.git("add", "renovate.json")

    done = walk("## An update that died midway", project.folder)

    assert done.returncode == 0, done.stdout
    assert project.contents() == {
        **before,
        FILE: IDEA.encode(),
        ".copier-answers.yml": project.read(".copier-answers.yml").encode(),
    }
    assert "_commit: v99.0.0" in project.read(".copier-answers.yml")


def test_rename_the_package(history: History, rendered: Rendered, project: Owned, evolved: History) -> None:
    done = walk("## Rename the package", project.folder)

    assert done.returncode == 0, done.stdout
    fresh = rendered(history.next, package_name="shop")
    assert project.contents("template", "shared") == fresh.contents("template", "shared")
    assert project.contents().keys() == fresh.contents().keys()
    of(evolved, project, history).commit("The template has moved")
    project.update("v99.0.0")
    assert project.changed() == [".copier-answers.yml", FILE]


def test_two_services_in_one_repository(history: History, rendered: Rendered, evolved: History, tmp_path: Path) -> None:
    root = tmp_path / "repository"
    for name in ("shop", "billing"):
        service = rendered(history.next).copy(root / "services" / name)
        of(evolved, service, history).replace("renovate.json", "config:recommended", f"config:{name}")
        subprocess.run(["rm", "-r", str(service.folder / ".git")], check=True)
    git(root, "init", "--quiet", "--initial-branch=main")
    Owned(root).commit("Two services")

    done = walk("## Two services in one repository", root)

    assert done.returncode == 0, done.stdout
    assert Owned(root).changed() == []
    for name in ("shop", "billing"):
        service = Owned(root / "services" / name)
        assert service.read(FILE) == IDEA
        assert f"config:{name}" in service.read("renovate.json")

    # After a conflict that was resolved, they are run again.
    assert (again := walk("## Two services in one repository", root)).returncode == 0, again.stdout


def test_update_many_services(history: History, rendered: Rendered, evolved: History, tmp_path: Path) -> None:
    services = {}
    for name in ("billing", "broken", "conflict", "shop"):
        services[name] = of(evolved, rendered(history.next).copy(tmp_path / "all" / name), history)
        services[name].commit("The template has moved")
    services["broken"].write("broken", "")
    services["broken"].commit("A test that fails")
    services["conflict"].write(FILE, "the owner's\n")
    services["conflict"].commit("A file of this name")

    done = walk("## Update many services", tmp_path / "all")

    assert done.returncode != 0
    assert done.stdout.splitlines()[-1] == "not updated: broken/ conflict/"
    for name in ("billing", "shop"):
        assert services[name].git("log", "-1", "--format=%s") == "Update from Savepoint\n"
        assert services[name].read(FILE) == IDEA

    # The next week: what is up to date is not a failure.
    assert walk("## Update many services", tmp_path / "all").stdout.splitlines()[-1] == "not updated: broken/ conflict/"


def test_a_fork_with_tags_of_its_own(history: History, project: Owned, tmp_path: Path) -> None:
    fork = tmp_path / "fork"
    git(tmp_path, "clone", "--quiet", str(history.folder), str(fork))
    (fork / "template" / FILE).write_text(IDEA)
    git(fork, "add", "--all")
    git(fork, "commit", "--quiet", "--message=Of the platform team")
    git(fork, "tag", f"{history.next}.post1")

    done = walk("## A fork with tags of its own", project.folder, FORK=str(fork))

    assert done.returncode == 0, done.stdout
    assert f"_commit: {history.next}.post1" in project.read(".copier-answers.yml")
    assert project.read(FILE) == IDEA


def test_a_mirror_without_tags(history: History, project: Owned, evolved: History, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror.git"
    git(tmp_path, "clone", "--quiet", "--bare", "--no-tags", str(evolved.folder), str(mirror))
    for tag in git(mirror, "tag").split():
        git(mirror, "tag", "--delete", tag)
    project.replace(".copier-answers.yml", f"_src_path: {history.folder}", f"_src_path: {mirror}")
    project.commit("From the mirror")
    command = [*COPIER, "update", "--defaults"]
    refused = subprocess.run(command, cwd=project.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert refused.returncode != 0
    assert project.changed() == []

    done = walk("## A mirror without tags", tmp_path, SOURCE=str(evolved.folder), MIRROR=str(mirror))

    assert done.returncode == 0, done.stdout
    project.update("v99.0.0")
    assert project.read(FILE) == IDEA
