"""Carries a user's edits of a file over to where a version of the template has moved it.

    carry_edits.py moved <old> <new>          the edits are merged, three ways, into <new>
    carry_edits.py gone <old> [<see> …]       removed, or split into others: an edited file is kept as <old>.yours
    carry_edits.py table <moves>              many files of one folder move: a text file, a line `<old> <new>` for each
    carry_edits.py formatted                  files that a formatter alone has changed get the template's lines again

Copier runs it in the project, from `_migrations` in copier.yml, at stage `after`: the new files are there, the old one
is deleted, and the commit that the update began with has it still. `formatted` runs at stage `before`. `README.md`
beside this file says why.
Standard library alone, since it runs in Copier's own environment. Running it twice changes nothing.
"""

import ast
import functools
import io
import os
import re
import subprocess
import sys
import tempfile
import tokenize
from dataclasses import dataclass
from pathlib import Path

TEMPLATE = Path(__file__).parents[1]

# As Copier names the sides of a conflict.
LABELS = ("before updating", "last update", "after updating")


@dataclass(frozen=True)
class Versions:
    """The same file in the project before the update (`mine`) and as the template had it then (`base`)."""

    mine: bytes | None
    base: bytes | None


def moved(old: str, new: str) -> str:
    """Bring the edits of `old` into `new`; returns a line that says what was done."""
    versions, target = _versions(old), Path(new)
    if versions.mine is None and versions.base is None:
        return f"{old} came after the version of your project; {new} is not touched."
    if versions.mine is None and _show(Path.cwd(), f"HEAD:./{new}") is not None:
        # Copier has merged both, and the user's lines are nowhere else.
        return f"{old} is {new} now. {new} is your own, and has the template's lines too: remove those."
    if versions.mine is None:
        target.unlink(missing_ok=True)
        return f"{old} is {new} now. Your project had none, so it is left out."
    if versions.mine == versions.base:
        return f"{old} is {new} now."
    pristine = _in_template(os.environ["VERSION_TO"], new)
    if versions.base is None or pristine is None or not target.exists():
        return _keep(old, versions.mine, f"is {new} now")
    merged, has_conflicts = _merge(versions.mine, versions.base, pristine)
    if target.read_bytes() != pristine:
        # Merged by an earlier run, or a file of the user's that had this name already.
        return f"{old} is {new} now." if target.read_bytes() == merged else _keep(old, versions.mine, f"is {new} now")
    target.write_bytes(merged)
    if not has_conflicts:
        return f"{old} is {new} now, with your edits."
    _mark_as_unmerged(new, versions.base, versions.mine, pristine)
    return f"{old} is {new} now. CONFLICT: you and the template have changed the same lines; look for <<<<<<< in it."


def gone(old: str, see: list[str]) -> str:
    """Keep an edited `old` beside its successors; returns a line that says what was done."""
    versions = _versions(old)
    became = f"is now part of {' and '.join(see)}" if see else "is no longer needed"
    if versions.mine is None or versions.mine == versions.base:
        return f"{old} {became}."
    return _keep(old, versions.mine, became)


def table(path: str) -> str:
    """Move all files of a table; returns a line for each that the project had edited or deleted, and for its own."""
    rows = [line.split() for line in (TEMPLATE / path).read_text().splitlines() if not line.startswith("#")]
    lines = []
    for old, new in rows:
        versions = _versions(old)
        if versions.mine == versions.base:
            # As the template had it, or unknown to both.
            continue
        if versions.mine is None:
            if not Path(new).exists():
                # Of a feature that is off.
                continue
            lines.append(f"{old}, which your project had deleted, is {new} now, and is back: other files import it.")
        elif versions.base is None:
            # Of a later version than the one that the project came from; or the project's own, below.
            continue
        else:
            lines.append(moved(old, new))
    names = {old for old, _ in rows}
    for folder in sorted({str(Path(old).parent) for old, _ in rows}):
        for own in _own_modules(folder):
            if own not in names and Path(own).exists():
                module = own.removesuffix(".py").replace("/", ".")
                lines.append(f'{own} is your own. List it in tests/conftest.py: pytest_plugins = [..., "{module}"]')
    return "\n".join([f"{len(rows)} files of the template have moved.", *lines])


def formatted() -> str:
    """Undo what a formatter has done to the harness and env.py, and stage it; returns a line that says how often."""
    restored = []
    for name in _template_paths(os.environ["VERSION_FROM"]):
        path = name.removesuffix(".jinja")
        if not path.endswith(".py") or not path.startswith(("tests/harness/", "migrations/env.py")):
            continue
        base = _with_package_name(_in_template(os.environ["VERSION_FROM"], name) or b"")
        mine = _show(Path.cwd(), f"HEAD:./{path}")
        if mine is not None and mine != base and _is_same_program(mine, base):
            Path(path).write_bytes(base)
            restored.append(path)
    if restored:
        # Copier compares what is staged.
        subprocess.run(["git", "add", "--", *restored], check=True)
    return f"{len(restored)} files of the template had other line breaks: the template's are restored."


def _with_package_name(content: bytes) -> bytes:
    """A file whose Jinja is the name of the package, as rendered."""
    answers = Path(".copier-answers.yml")
    found = re.search(rb"^package_name: (\w+)$", answers.read_bytes() if answers.exists() else b"", re.M)
    return content.replace(b"{{ package_name }}", found[1]) if found else content


def _is_same_program(mine: bytes, base: bytes) -> bool:
    """Whether two modules differ in nothing but white space, line breaks, quotes and parentheses."""
    try:
        return _program(mine) == _program(base)
    except (SyntaxError, tokenize.TokenError):
        # Or syntax that is newer than Copier's Python.
        return False


def _program(source: bytes) -> tuple[str, list[str]]:
    tokens = tokenize.tokenize(io.BytesIO(source).readline)
    return ast.dump(ast.parse(source)), [token.string for token in tokens if token.type == tokenize.COMMENT]


def _own_modules(folder: str) -> list[str]:
    """The modules that the project has in a folder, and the template did not have."""
    listed = (_git(Path.cwd(), "ls-tree", "-z", "--name-only", f"HEAD:./{folder}") or b"").decode().split("\0")
    paths = [f"{folder}/{name}" for name in listed if name.endswith(".py")]
    return [path for path in paths if path not in _template_paths(os.environ["VERSION_FROM"])]


def _keep(old: str, mine: bytes, became: str) -> str:
    kept = Path(f"{old}.yours")
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(mine)
    return f"{old} {became}. Yours is in {kept}: move your edits over, then delete it."


def _versions(old: str) -> Versions:
    mine, base = _show(Path.cwd(), f"HEAD:./{old}"), _in_template(os.environ["VERSION_FROM"], old)
    if mine and base and old.endswith(".py") and _is_same_program(mine, base):
        # No edit, but perhaps the work of a formatter.
        mine = base
    return Versions(mine, base)


def _in_template(version: str, path: str) -> bytes | None:
    """A file as a version of the template renders it, None where that depends on answers or there is none."""
    name = _template_paths(version).get(path)
    return None if name is None else _show(TEMPLATE, f"{version}:{name}")


@functools.cache
def _template_paths(version: str) -> dict[str, str]:
    """The files of a version of the template, by their paths in a project."""
    listed = (_git(TEMPLATE, "ls-tree", "-r", "-z", "--name-only", version, "template/") or b"").decode().split("\0")
    # A feature that can be off stands in the file's name: {% if payments %}stripe.py{% endif %}.
    return {re.sub(r"{%.*?%}", "", name).removeprefix("template/"): name for name in listed if name}


def _show(folder: Path, what: str) -> bytes | None:
    return _git(folder, "show", what)


def _git(folder: Path, *arguments: str) -> bytes | None:
    done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


def _merge(mine: bytes, base: bytes, new: bytes) -> tuple[bytes, bool]:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("mine", "base", "new")]
        for path, content in zip(paths, (mine, base, new), strict=True):
            path.write_bytes(content)
        labels = [argument for label in LABELS for argument in ("-L", label)]
        done = subprocess.run(["git", "merge-file", "-p", *labels, *paths], capture_output=True, check=False)
    # The number of conflicts, at most 127; above, it has failed.
    if not 0 <= done.returncode <= 127:
        raise SystemExit(f"git merge-file: {done.stderr.decode().strip()}")
    return done.stdout, done.returncode > 0


def _mark_as_unmerged(path: str, base: bytes, mine: bytes, new: bytes) -> None:
    """As after a merge: `git status` names the file, and `git commit` refuses until it has been added."""
    prefix = (_git(Path.cwd(), "rev-parse", "--show-prefix") or b"").decode().rstrip("\n")
    lines = [f"0 {'0' * 40}\t{prefix}{path}"]
    for stage, content in ((1, base), (2, mine), (3, new)):
        command = ["git", "hash-object", "-w", "--stdin"]
        blob = subprocess.run(command, input=content, capture_output=True, check=True).stdout.decode().strip()
        lines.append(f"100644 {blob} {stage}\t{prefix}{path}")
    subprocess.run(["git", "update-index", "--index-info"], input="\n".join(lines).encode(), check=True)


def main(arguments: list[str]) -> str:
    """Do what was asked; returns the line to print."""
    match arguments:
        case ["moved", old, new]:
            return moved(old, new)
        case ["gone", old, *see]:
            return gone(old, see)
        case ["table", path]:
            return table(path)
        case ["formatted"]:
            return formatted()
    raise SystemExit(__doc__)


if __name__ == "__main__":
    print(main(sys.argv[1:]))
