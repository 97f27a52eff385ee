"""The oldest Copier that copier.yml allows copies and updates; an older one is refused before it writes a file."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.environment import UV
from tests.rendering import ROOT, git
from tests.upgrades.conftest import Rendered
from tests.upgrades.history import History, needs_trust
from tests.upgrades.lived_in import Owned

OLDEST: str = yaml.safe_load((ROOT / "copier.yml").read_text())["_min_copier_version"]

# Crashes on `undefined` in `_envops` up to 9.14; 9.15 loses lines of an edit where git ignores *.rej.
TOO_OLD = "9.15.0"

CLIENT = "tests/harness/app/client.py"


def copier(version: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Copier of exactly this version, in an environment of its own."""
    command = [UV, "tool", "run", "--from", f"copier=={version}", "copier", *arguments]
    return subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_it_copies_what_the_newest_copies(history: History, rendered: Rendered, tmp_path: Path) -> None:
    source = str(history.folder)

    done = copier(OLDEST, "copy", "--defaults", f"--vcs-ref={history.next}", source, "project", folder=tmp_path)

    assert done.returncode == 0, done.stdout
    made = Owned(tmp_path / "project")
    git(made.folder, "init", "--quiet", "--initial-branch=main")
    made.commit("Render from Savepoint")
    assert made.contents() == rendered(history.next).contents()


@pytest.mark.parametrize("ignored", ["", "*.rej\n"], ids=["rej seen", "rej ignored"])
def test_it_updates_and_loses_no_line(history: History, rendered: Rendered, tmp_path: Path, ignored: str) -> None:
    newest = history.releases[-1]
    owned = rendered(newest.tag).copy(tmp_path / "project")
    owned.edit(".gitignore", lambda text: text + ignored)
    owned.edit("renovate.json", lambda text: text.replace("config:recommended", "config:of-the-owner"))
    owned.edit(CLIENT, lambda text: text + "\nOF_THE_OWNER = 1\n")
    owned.commit("Edits")
    # The line that the owner has edited changes in the template too: a conflict, which has to keep both.
    later = history.evolve(tmp_path / "later", {"renovate.json": '{\n  "extends": ["config:of-the-template"]\n}\n'})
    owned.replace(".copier-answers.yml", f"_src_path: {history.folder}", f"_src_path: {later.folder}")
    owned.commit("The template has moved")

    trust = ["--trust"] if needs_trust(newest, history) else []
    done = copier(OLDEST, "update", "--defaults", *trust, f"--vcs-ref={later.next}", folder=owned.folder)

    assert done.returncode == 0, done.stdout
    assert "_commit: v99.0.0" in owned.read(".copier-answers.yml")
    assert "OF_THE_OWNER = 1" in owned.read(CLIENT)
    assert owned.conflicts() == ["renovate.json"]
    assert "config:of-the-owner" in owned.read("renovate.json")
    assert "config:of-the-template" in owned.read("renovate.json")
    assert list(owned.folder.rglob("*.rej")) == []


def test_an_older_one_is_refused(history: History, rendered: Rendered, tmp_path: Path) -> None:
    owned = rendered(history.releases[-1].tag).copy(tmp_path / "project")

    update = copier(TOO_OLD, "update", "--defaults", f"--vcs-ref={history.next}", folder=owned.folder)
    copy = copier(
        TOO_OLD, "copy", "--defaults", f"--vcs-ref={history.next}", str(history.folder), "new", folder=tmp_path
    )

    for done in (update, copy):
        assert done.returncode != 0
        assert re.search(rf"requires Copier version >= {re.escape(OLDEST)}", done.stdout), done.stdout
    assert owned.changed() == []
    assert not (tmp_path / "new").exists()
