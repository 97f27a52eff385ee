"""Projects rendered from the working tree, once per set of answers, in a folder that all workers share."""

import fcntl
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pytest_copie.plugin import Copie

ROOT = Path(__file__).parents[1]

# What a render or an update reads. Not the whole tree: a test that is edited makes no other template.
_PARTS = ["copier.yml", "existing", "template", "hooks", "CHANGELOG.md"]


@contextmanager
def locked(folder: Path, name: str) -> Iterator[None]:
    """Held by one worker at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def snapshot(target: Path) -> Path:
    """The template as it stands here, committed or not, as the one commit of a repository of its own."""
    copy_working_tree(target)
    git(target, "init", "--quiet", "--initial-branch=main")
    git(target, "add", "--all", "--force")
    git(target, "commit", "--quiet", "--message=The template under test")
    return target


def copy_working_tree(target: Path) -> None:
    """What a render or an update reads, committed or not, copied into a folder."""
    listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *_PARTS)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():  # deleted, and not committed yet
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)


def git(folder: Path, *arguments: str) -> str:
    """Git's output, whatever the machine's configuration: no name, hook or signature of its own."""
    identity = ["-c", "user.name=Savepoint", "-c", "user.email=savepoint@example.com", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, "-c", "core.hooksPath=/dev/null", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@dataclass(frozen=True)
class Render:
    """Renders by answers. The result is shared: a test that writes into it asks for a copy."""

    template: Path
    copie: Copie
    shared: Path

    def __call__(self, **answers: object) -> Path:
        key = hashlib.sha256(json.dumps(answers, sort_keys=True).encode()).hexdigest()[:16]
        target = self.shared / "renders" / key / "project"
        with locked(target.parent, "render"):
            if not target.exists():
                result = self.copie.copy(extra_answers=answers, template_dir=self.template)
                assert result.exception is None, result.exception
                assert result.project_dir is not None
                result.project_dir.rename(target)
        return target

    def copy(self, target: Path, **answers: object) -> Path:
        shutil.copytree(self(**answers), target)
        return target


def files(project: Path) -> list[str]:
    """Every file of a render, as its path in the project, sorted."""
    return sorted(str(path.relative_to(project)) for path in project.rglob("*") if path.is_file())


Rendering = Callable[..., Path]
