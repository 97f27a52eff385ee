"""Copier's clones of a local template, each made once by a process and left in place, with what Git says of it.

An update makes five clones, of two versions, and asks Git 60 times about them: half of its CPU time.
"""

import atexit
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from copier import _template
from copier._template import Template
from copier._vcs import clone

# Of a clone, which no one changes.
ASKED = ["commit", "commit_hash", "git_index_modes", "version"]

_cleanup = Template._cleanup
_clones: dict[tuple[str, ...], str] = {}
_answers: dict[tuple[str, str], Any] = {}


def enable() -> None:
    """Let Copier use one clone of each version, as long as its repository does not change."""
    _template.clone = _clone_once  # type: ignore[attr-defined, assignment]
    Template._cleanup = _cleanup_link  # type: ignore[method-assign, assignment]
    for name in ASKED:
        asked = vars(Template)[name]
        asked.func = _once_per_clone(name, asked.func)


def _clone_once(url: str, ref: str, location: str) -> str:
    """`copier._vcs.clone`: `location`, an empty folder, becomes a link to the clone."""
    folder = Path(url)
    if not (folder / ".git").is_dir() or (folder / ".git/shallow").exists() or (ref == "HEAD" and _is_dirty(folder)):
        return clone(url, ref, location)
    key = (str(folder.resolve()), ref, _git(folder, "show-ref", "--head"))
    if key not in _clones:
        _clones[key] = clone(url, ref, tempfile.mkdtemp(dir=_clones_folder()))
    Path(location).rmdir()
    Path(location).symlink_to(_clones[key])
    return location


def _is_dirty(folder: Path) -> bool:
    return bool(_git(folder, "status", "--porcelain"))


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True).stdout


@cache
def _clones_folder() -> str:
    folder = tempfile.mkdtemp(prefix="clones-of-templates-")
    atexit.register(shutil.rmtree, folder)
    return folder


def _cleanup_link(template: Template) -> None:
    path = template._temp_clone_path
    if path is not None and path.is_symlink():
        path.unlink()
    else:
        _cleanup(template)


def _once_per_clone(name: str, asked: Callable[[Template], Any]) -> Callable[[Template], Any]:
    def answer(template: Template) -> Any:
        folder = str(template.local_abspath)
        if folder not in _clones.values():
            return asked(template)
        if (folder, name) not in _answers:
            _answers[folder, name] = asked(template)
        return _answers[folder, name]

    return answer
