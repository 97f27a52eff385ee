"""The releases: found in the history, each in the changelog, and none that loses a file without a hook."""

import re
import subprocess
from pathlib import Path

import pytest

from tests import ownership, releases
from tests.releases import HistoryError, number
from tests.rendering import ROOT, git
from tests.upgrades.history import History, migrations


def test_every_version_of_the_changelog_is_found(history: History) -> None:
    listed = [version for version in releases.sections() if version != "Unreleased"]
    found = [release.version for release in history.releases]
    # While a release is being made, its version is in the working tree alone.
    current = releases.current_version()
    if current != releases.UNRELEASED and current not in found:
        found.append(current)

    assert found
    assert sorted(listed, key=number) == found


def test_every_version_says_how_to_upgrade() -> None:
    for version, text in releases.sections().items():
        assert "Upgrading" in text, version


def test_the_changelog_holds_no_jinja() -> None:
    """The message after an update includes it."""
    assert not re.search(r"{{|{%|{#", (ROOT / "CHANGELOG.md").read_text())


def test_a_shallow_clone_says_so_in_one_line(tmp_path: Path) -> None:
    git(ROOT, "clone", "--quiet", "--depth=1", f"file://{ROOT}", str(tmp_path / "shallow"))

    with pytest.raises(HistoryError, match=r"^this is a shallow clone.*git fetch --unshallow$"):
        releases.releases(tmp_path / "shallow")


def rendered_path(name: str) -> str:
    """Where a file of `template/` stands in a project."""
    name = name.replace("{{ _copier_conf.answers_file }}", ".copier-answers.yml").replace("{{package_name}}", "service")
    return re.sub(r"{%.*?%}", "", name).removesuffix(".jinja")


def is_the_templates(path: str) -> bool:
    return any(row.startswith(("template", "shared")) for row in ownership.rows(path))


def files_of(history: History, version: str) -> set[str]:
    listed = git(history.folder, "-c", "core.quotePath=false", "ls-tree", "-r", "--name-only", f"{version}:template")
    return {path for path in map(rendered_path, listed.splitlines()) if is_the_templates(path)}


def carried_by(command: list[str]) -> list[str]:
    """The old paths of the files that a hook carries over."""
    _, _, what, *paths = command
    if what == "formatted":
        return []
    first = paths[0]
    return [old for old, _ in rows_of(first)] if what == "table" else [first]


def rows_of(table: str) -> list[list[str]]:
    """The old and the new paths of a table of moves."""
    return [line.split() for line in (ROOT / table).read_text().splitlines() if not line.startswith("#")]


def unhandled(history: History) -> dict[str, set[str]]:
    """The files of the template that each release had, the next version has not, and no hook of it carries over."""
    missing = {}
    for release in history.releases:
        carried = {
            path
            for migration in migrations()
            if release.number < number(migration["version"]) <= number(history.next.removeprefix("v"))
            for path in carried_by(migration["command"])
        }
        missing[release.version] = files_of(history, release.tag) - files_of(history, history.next) - carried
    return missing


def test_no_file_is_moved_or_removed_without_a_hook(history: History) -> None:
    assert {version: paths for version, paths in unhandled(history).items() if paths} == {}


def test_a_file_that_is_removed_without_a_hook_is_noticed(history: History, tmp_path: Path) -> None:
    later = history.evolve(tmp_path / "later", {"migrations/script.py.mako": None, "migrations/env.py.jinja": None})

    for paths in unhandled(later).values():
        assert paths >= {"migrations/script.py.mako", "migrations/env.py"}


def changed_samples(history: History) -> set[str]:
    """Sample code that differs from the newest release's; an update does not bring it."""
    newest = history.releases[-1].tag
    options = ["-c", "core.quotePath=false", "diff", "--name-only", "--no-renames", newest, history.next]
    listed = git(history.folder, *options, "--", "template/src", "template/tests", "template/migrations/versions")
    paths = {rendered_path(name.removeprefix("template/")) for name in listed.splitlines()}
    return {path for path in paths if any(row.startswith("user") for row in ownership.rows(path))}


def test_a_change_of_sample_code_is_in_the_changelog(history: History) -> None:
    newest = next(iter(releases.sections().values()))

    assert not changed_samples(history) or "### Sample code" in newest, changed_samples(history)


def test_a_change_of_sample_code_is_noticed(history: History, tmp_path: Path) -> None:
    db, client = "src/{{package_name}}/db.py", "tests/harness/app/client.py"
    later = history.evolve(tmp_path / "later", {db: "# mended\n", client: "# the harness's\n"})

    assert changed_samples(later) - changed_samples(history) == {"src/service/db.py"}


def test_each_hook_is_listed_as_copier_wants_it() -> None:
    for migration in migrations():
        python, script, what, *paths = migration["command"]
        stage = "before" if what == "formatted" else "after"
        assert migration["when"] == f"{{{{ _stage == '{stage}' }}}}"
        assert python == "{{ _copier_python }}"
        assert script == "{{ _copier_conf.src_path }}/hooks/carry_edits.py"
        assert (
            (what == "moved" and len(paths) == 2)
            or (what == "table" and len(paths) == 1)
            or what in ("gone", "formatted")
        )


def test_a_table_of_moves_names_files_that_were_and_files_that_are(history: History) -> None:
    were = {path for release in history.releases for path in files_of(history, release.tag)}
    for table in sorted((ROOT / "hooks/moves").glob("*.txt")):
        rows = rows_of(str(table.relative_to(ROOT)))

        assert {old for old, _ in rows} <= were
        assert {new for _, new in rows} <= files_of(history, history.next)
        assert len({new for _, new in rows}) == len(rows)


GH = """#!/bin/sh
[ "$2" = view ] && [ "$3" != v{new} ] && exit 0
[ "$2" = view ] && exit 1
echo "$@" >> "{told}"
[ "$2" = verify ] && exit {verified}
cat >> "{told}.notes"
"""


@pytest.mark.parametrize("verified", [0, 1])
def test_the_workflow_tags_what_is_not_tagged_yet(tmp_path: Path, verified: int) -> None:
    """Its script, run with a `gh` that knows of every release but the newest, and finds its attestation or does not."""
    newest = releases.releases()[-1]
    (tmp_path / "gh").write_text(GH.format(new=newest.version, told=tmp_path / "told", verified=verified))
    (tmp_path / "gh").chmod(0o755)
    workflow = (ROOT / ".github/workflows/release.yml").read_text()
    script = re.sub(r"(?m)^ {10}", "", workflow.partition("run: |\n")[2])

    command = ["bash", "-e", "-o", "pipefail", "-c", f'PATH="{tmp_path}:$PATH"\n{script}']
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == verified, done.stderr
    created, checked = (tmp_path / "told").read_text().splitlines()
    assert (tmp_path / "told.notes").read_text().strip() == releases.sections()[newest.version]
    assert created.startswith(f"release create v{newest.version} --target {newest.commit} --title v{newest.version}")
    assert checked == f"release verify v{newest.version}"
