"""The template with its history, tagged as it is released, and the working tree as the version that comes next."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.releases import Release, current_version, number, releases
from tests.rendering import ROOT, copy_working_tree, git


@dataclass(frozen=True)
class History:
    """A repository of the template: a tag for each release, and one for the working tree."""

    folder: Path
    releases: list[Release]
    next: str

    def evolve(
        self, target: Path, changes: Mapping[str, str | None], *, carrying: Sequence[Sequence[str]] = ()
    ) -> "History":
        """A clone that has one version more, `v99.0.0`.

        Args:
            changes: what its files of `template/` hold, by path; None deletes one.
            carrying: calls of `carry_edits.py` that it adds to copier.yml, such as ("moved", "a.py", "b.py").
        """
        git(self.folder, "clone", "--quiet", str(self.folder), str(target))
        for name, content in changes.items():
            path = target / "template" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            if content is not None:
                path.write_text(content)
        settings = yaml.safe_load((target / "copier.yml").read_text())
        settings["_migrations"] = [*settings.get("_migrations", []), *map(_migration, carrying)]
        (target / "copier.yml").write_text(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))
        git(target, "add", "--all")
        git(target, "commit", "--quiet", "--allow-empty", "--message=What comes later")
        git(target, "tag", "v99.0.0")
        return History(target, self.releases, "v99.0.0")


Later = Callable[..., History]


def template_file(history: History, path: str) -> str:
    """A file of `template/`, as it is in the working tree."""
    return (history.folder / "template" / path).read_text()


def _migration(call: Sequence[str]) -> dict[str, Any]:
    command = ["{{ _copier_python }}", "{{ _copier_conf.src_path }}/hooks/carry_edits.py", *call]
    return {"version": "99.0.0", "when": "{{ _stage == 'after' }}", "command": command}


def migrations() -> list[dict[str, Any]]:
    """The migrations that copier.yml lists."""
    listed: list[dict[str, Any]] = yaml.safe_load((ROOT / "copier.yml").read_text()).get("_migrations", [])
    return listed


def make(target: Path) -> History:
    """The history of this repository, in a repository of its own."""
    found = releases()
    git(ROOT, "clone", "--quiet", str(ROOT), str(target))
    for tag in git(target, "tag").split():
        git(target, "tag", "--delete", tag)
    for release in found:
        git(target, "tag", release.tag, release.commit)
    git(target, "rm", "-r", "--quiet", "--ignore-unmatch", ".")
    copy_working_tree(target)
    git(target, "add", "--all", "--force")
    git(target, "commit", "--quiet", "--allow-empty", "--message=The working tree")
    tag = f"v{_next_version(found)}"
    git(target, "tag", tag)
    return History(target, found, tag)


def _next_version(found: list[Release]) -> str:
    """Later than every release, and than every migration: the version that the working tree would be released as."""
    candidates: list[str] = [current_version(), *(migration["version"] for migration in migrations())]
    newest = max(candidates, key=number)
    if newest not in {release.version for release in found}:
        return newest
    *head, last = number(newest)
    return ".".join(map(str, (*head, last + 1)))


def needs_trust(release: Release, history: History) -> bool:
    """Whether an update from a release to the working tree crosses a migration."""
    to = number(history.next.removeprefix("v"))
    return any(release.number < number(migration["version"]) <= to for migration in migrations())
