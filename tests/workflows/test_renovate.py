"""Renovate in a rendered project: it sees the template's versions, and its pull request is as docs/updates.md says.

Renovate itself runs where it has been fetched (`uv run python -m tests.renovate`); what it reads is tested without it.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from packaging.version import Version

from tests import renovate
from tests.conftest import REQUIRED
from tests.environment import UV, clean
from tests.pages import json_blocks
from tests.releases import releases
from tests.rendering import ROOT, git
from tests.upgrades.history import History
from tests.upgrades.lived_in import Owned
from tests.workflows.forge import Forge, forge

pytestmark = pytest.mark.xdist_group("renovate")

# README's, with an owner.
ADDRESS = "https://github.com/example/savepoint"

WITH_LOCK, WITHOUT = (
    json.loads(block) for block in json_blocks((ROOT / "docs/updates.md").read_text(), "## With Renovate")
)
ALLOWED = '--allowed-commands=["^uv lock$"]'


@pytest.fixture(scope="module")
def command() -> list[str]:
    """Renovate."""
    found = renovate.installed()
    if not found and "renovate" in REQUIRED:
        pytest.fail("Renovate is not here: uv run python -m tests.renovate", pytrace=False)
    return found or pytest.skip("Renovate has not been fetched: uv run python -m tests.renovate")


class Renovated:
    """A project of README's address, whose template has a later version with another dependency."""

    def __init__(self, command: list[str], history: History, folder: Path) -> None:
        self.command, self.folder = command, folder
        pyproject = (history.folder / "template/pyproject.toml.jinja").read_text()
        dependency = '  "pytest-randomly'
        assert pyproject.count(dependency) == 1
        evolved = history.evolve(
            folder / "later",
            {
                "pyproject.toml.jinja": pyproject.replace(dependency, f'  "sortedcontainers>=2.4",\n{dependency}'),
                "alembic.ini": "# of the template\n" + (history.folder / "template/alembic.ini").read_text(),
            },
        )
        self.project = Owned.rendered(evolved.folder, history.next, folder / "project")
        self.project.replace(".copier-answers.yml", f"_src_path: {evolved.folder}", f"_src_path: {ADDRESS}")
        subprocess.run([UV, "lock", "--quiet"], cwd=self.project.folder, env=clean(os.environ), check=True)
        self.project.commit("The first commit, with uv.lock")
        self.home = folder / "home"
        self.home.mkdir()
        self.answered = {str(evolved.folder): [ADDRESS, f"{ADDRESS}.git"]}  # Copier adds it

    def rule(self, rule: dict[str, Any]) -> None:
        """Add a rule to renovate.json."""
        settings = json.loads(self.project.read("renovate.json"))
        settings["packageRules"].append(rule)
        self.project.write("renovate.json", json.dumps(settings, indent=2) + "\n")
        self.project.commit("A rule for Renovate")

    def lookup(self) -> dict[str, Any]:
        """What Renovate finds out about the template."""
        report = self.folder / "report.json"
        self._run(self.project.folder, "--platform=local", "--report-type=file", f"--report-path={report}")
        [repository] = json.loads(report.read_text())["repositories"].values()
        [file] = repository["packageFiles"]["copier"]
        assert file["packageFile"] == ".copier-answers.yml"
        [dependency] = file["deps"]
        found: dict[str, Any] = dependency
        return found

    def pull_request(self, *options: str) -> Forge:
        """What it tells a forge."""
        bare = self.folder / "bare.git"
        git(self.folder, "clone", "--quiet", "--bare", str(self.project.folder), str(bare))
        with forge(bare) as it:
            host = it.url.removeprefix("http://")
            self.answered[str(bare)] = [f"http://{user}{host}/owner/service.git" for user in ("", "the-token@")]
            there = ["--platform=gitea", f"--endpoint={it.url}/", "--token=the-token"]
            settings = ["--onboarding=false", "--require-config=optional", "--binary-source=global"]
            self._run(self.folder, *there, *settings, *options, "owner/service")
        return it

    def _run(self, cwd: Path, *options: str) -> None:
        # Instead of the network: neither Renovate nor Copier asks more of the addresses than Git's answer.
        lines = [
            f'[url "file://{folder}"]\n' + "".join(f"\tinsteadOf = {address}\n" for address in addresses)
            for folder, addresses in self.answered.items()
        ]
        (self.home / ".gitconfig").write_text("".join(lines) + "[user]\n\tname = Owner\n\temail = owner@example.com\n")
        bin_folder = self.folder / "bin"
        bin_folder.mkdir(exist_ok=True)
        for name, program in {"copier": shutil.which("copier"), "uv": UV}.items():
            assert program, name
            (bin_folder / name).unlink(missing_ok=True)
            (bin_folder / name).symlink_to(program)
        env = clean(os.environ) | {"HOME": str(self.home), "RENOVATE_BASE_DIR": str(self.home / "renovate")}
        env["PATH"] = os.pathsep.join([str(bin_folder), str(Path(self.command[0]).parent), env["PATH"]])
        done = subprocess.run(
            [*self.command, "--enabled-managers=copier", *options],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        print(done.stdout)
        assert done.returncode == 0


@pytest.fixture
def renovated(command: list[str], history: History, tmp_path: Path) -> Renovated:
    folder = tmp_path / "renovated"
    folder.mkdir()
    return Renovated(command, history, folder)


def test_the_address_of_the_readme_has_versions(renovated: Renovated, history: History) -> None:
    found = renovated.lookup()

    assert found["packageName"] == ADDRESS
    assert found["currentValue"] == history.next
    assert [update["newValue"] for update in found["updates"]] == ["v99.0.0"]


def test_an_abbreviated_address_has_none(renovated: Renovated) -> None:
    renovated.project.replace(".copier-answers.yml", ADDRESS, "gh:example/savepoint")

    assert renovated.lookup()["updates"] == []


def test_the_pull_request_updates_and_locks(renovated: Renovated, history: History) -> None:
    renovated.rule(WITH_LOCK)

    told = renovated.pull_request(ALLOWED)

    [pull] = told.pulls
    assert f"`{history.next}` → `v99.0.0`" in pull["body"]
    assert (told.statuses, told.comments) == ([], [])
    branch = pull["head"]["label"]
    assert "sortedcontainers" in git(told.repository, "show", f"{branch}:uv.lock")
    merged = renovated.folder / "merged"
    git(told.repository, "worktree", "add", "--quiet", str(merged), branch)
    assert "_commit: v99.0.0" in (merged / ".copier-answers.yml").read_text()
    subprocess.run([UV, "lock", "--check"], cwd=merged, env=clean(os.environ), check=True)


def test_a_conflict_is_a_failed_status_with_the_files(renovated: Renovated) -> None:
    renovated.rule(WITH_LOCK)
    renovated.project.edit("alembic.ini", lambda text: "# of the owner\n" + text)
    renovated.project.commit("An edit")

    told = renovated.pull_request(ALLOWED)

    [pull] = told.pulls
    assert {(status["context"], status["status"]) for status in told.statuses} == {("renovate/artifacts", "failure")}
    assert "* alembic.ini" in "".join(told.comments)
    assert "<<<<<<< before updating" in git(told.repository, "show", f"{pull['head']['label']}:alembic.ini")


def test_a_command_that_is_not_allowed_is_named(renovated: Renovated) -> None:
    renovated.rule(WITH_LOCK)

    told = renovated.pull_request()

    assert "'uv lock' has not been added to the allowed list" in "".join(told.comments)


def test_it_leaves_the_template_to_update_yml(renovated: Renovated) -> None:
    renovated.rule(WITHOUT)

    assert renovated.pull_request().pulls == []


# https://github.com/renovatebot/renovate/tree/44.121.2/lib/modules/manager/copier, as the tests above run it.
def test_the_answers_file_is_one_that_renovate_reads(history: History, tmp_path: Path) -> None:
    project = Owned.rendered(history.folder, history.next, tmp_path / "project")

    [name] = [path for path in project.contents() if re.search(r"(^|/)\.copier-answers(\..+)?\.ya?ml", path)]
    answers = yaml.safe_load(project.read(name))
    assert isinstance(answers["_commit"], str)
    assert isinstance(answers["_src_path"], str)


def test_the_readme_s_address_is_one_that_git_reads() -> None:
    addresses = re.findall(r"uvx copier copy .*?(\S+/savepoint)\b", (ROOT / "README.md").read_text())

    assert len(addresses) == 4
    assert {urlsplit(address).scheme for address in addresses} == {"https"}


def test_tags_are_versions_of_python() -> None:
    tags = [release.tag for release in releases()]

    assert tags
    assert sorted(tags, key=Version) == tags
