"""Resolves two heads without a merge revision: the revisions of one branch follow the head of the other.

What is deployed must not change: only revisions that this branch has added are moved.
"""

import ast
import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path

from alembic.script import Script, ScriptDirectory


class RebaseError(Exception):
    """The revisions cannot be moved; the message says why."""


@dataclass(frozen=True)
class Moved:
    """What was changed.

    Attributes:
        file: the file whose down_revision has changed.
        before: its down_revision before.
        after: its down_revision now: the head of the other branch.
        head: the only head now.
    """

    file: str
    before: str
    after: str
    head: str


def rebase(script: ScriptDirectory, added: Set[Path] | None, head: str | None = None) -> Moved:
    """Move the revisions of one head behind the other head.

    Args:
        script: Alembic's revisions.
        added: the files that this branch has added; None if that is not known.
        head: the head to move; None: the head that this branch has added.

    Raises:
        RebaseError: there are not two heads, it is not known which to move, or a revision cannot be moved.
    """
    heads = script.get_heads()
    if len(heads) != 2:
        raise RebaseError(f"There must be two heads, and there are {len(heads)}: {', '.join(heads)}.")
    if head is None:
        head = _own_head(script, heads, added)
    if head not in heads:
        raise RebaseError(f"{head} is not a head. The heads are {' and '.join(heads)}.")
    [other] = set(heads) - {head}
    of_other = {found.revision for found in script.iterate_revisions(other, "base")}
    moving = [found for found in script.iterate_revisions(head, "base") if found.revision not in of_other]
    for found in moving:
        _check(found, added)
    first = moving[-1]
    before = str(first.down_revision)
    _change(Path(first.path), before, other)
    return Moved(str(first.path), before, other, head)


def _own_head(script: ScriptDirectory, heads: list[str], added: Set[Path] | None) -> str:
    choice = f"Name the head to move: rebase {heads[0]}, or rebase {heads[1]}."
    if added is None:
        raise RebaseError(f"This folder has no git branch to compare with. {choice}")
    own = [head for head in heads if Path(_revision(script, head).path).resolve() in added]
    if len(own) != 1:
        raise RebaseError(f"This branch has added {'both heads' if own else 'neither head'}. {choice}")
    return own[0]


def _revision(script: ScriptDirectory, revision: str) -> Script:
    found = script.get_revision(revision)
    assert found is not None, revision
    return found


def _check(found: Script, added: Set[Path] | None) -> None:
    if not isinstance(found.down_revision, str):
        raise RebaseError(
            f"{found.path}: down_revision is {found.down_revision!r}: only revisions that follow one other can be "
            "moved. Merge the heads instead: alembic merge heads"
        )
    if added is not None and Path(found.path).resolve() not in added:
        raise RebaseError(f"{found.path} is not new in this branch, and may be deployed. Name the other head.")


def _change(path: Path, before: str, after: str) -> None:
    # Bytes, which keep the line ends; `ast` counts columns in bytes of UTF-8.
    text = path.read_bytes()
    found = [name for value in _values_of_down_revision(ast.parse(text)) for name in _named(value, before)]
    if len(found) != 1:
        raise RebaseError(f'{path}: no line `down_revision = "{before}"` to change. Let it follow {after} by hand.')
    [name] = found
    assert name.end_col_offset is not None
    lines = text.splitlines(keepends=True)
    line = lines[name.lineno - 1]
    quote = line[name.end_col_offset - 1 : name.end_col_offset]
    lines[name.lineno - 1] = b"".join(
        [line[: name.col_offset], quote, after.encode(), quote, line[name.end_col_offset :]]
    )
    # The docstring, as Alembic writes it.
    pattern = rb"^(Revises: )%s(?=\r?$)" % re.escape(before).encode()
    path.write_bytes(re.sub(pattern, rb"\g<1>" + after.encode(), b"".join(lines), count=1, flags=re.M))


def _values_of_down_revision(module: ast.Module) -> Iterator[ast.expr]:
    for statement in module.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="down_revision")], value=value):
                yield value
            case ast.AnnAssign(target=ast.Name(id="down_revision"), value=ast.expr() as value):
                yield value


def _named(value: ast.expr, revision: str) -> Iterator[ast.Constant]:
    """Where a value names the revision, on one line: `"4f2a"`, or `("4f2a",)`."""
    for node in [value, *value.elts] if isinstance(value, ast.Tuple | ast.List) else [value]:
        if isinstance(node, ast.Constant) and node.value == revision and node.lineno == node.end_lineno:
            yield node
