"""`rebase` changes `down_revision` as it stands in the file, and nothing else of the file."""

import sys
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from harness.schema.rebase import RebaseError, rebase

DOCSTRING = '"""Größe\n\nRevision ID: c\nRevises: aaaa\n"""\nrevision = "c"\n'


@pytest.fixture
def moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a revision `c`, not written yet, beside a head `bbbb`."""
    # A file that has changed in the same second, and has the same size, is read from its bytecode.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    folder = tmp_path / "versions"
    folder.mkdir()
    (folder / "a.py").write_text('revision = "aaaa"\ndown_revision = None\n')
    (folder / "b.py").write_text('revision = "bbbb"\ndown_revision = "aaaa"\n')
    return folder / "c.py"


def script(path: Path) -> ScriptDirectory:
    return ScriptDirectory(str(path.parents[1]))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('down_revision = "aaaa"', 'down_revision = "bbbb"'),
        ("down_revision = 'aaaa'  # after 'aaaa'", "down_revision = 'bbbb'  # after 'aaaa'"),
        ('down_revision: "str | None" = "aaaa"', 'down_revision: "str | None" = "bbbb"'),
        ('down_revision = ("aaaa",)', 'down_revision = ("bbbb",)'),
        ('down_revision = r"aaaa"', 'down_revision = "bbbb"'),
        ('down_revision = (\n    "aaaa"\n)', 'down_revision = (\n    "bbbb"\n)'),
        ('"aaaa\u2028é"; down_revision = "aaaa"', '"aaaa\u2028é"; down_revision = "bbbb"'),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_rest_of_the_file_is_kept(moved: Path, before: str, after: str, end: str) -> None:
    moved.write_bytes(f"{DOCSTRING}{before}\n".replace("\n", end).encode())

    rebase(script(moved), None, "c")

    expected = DOCSTRING.replace("Revises: aaaa", "Revises: bbbb") + after + "\n"
    assert moved.read_bytes() == expected.replace("\n", end).encode()
    assert script(moved).get_heads() == ["c"]


@pytest.mark.parametrize("line", ['PREVIOUS = "aaaa"\ndown_revision = PREVIOUS', 'down_revision = "aa" "aa"[:]'])
def test_a_computed_down_revision_is_refused(moved: Path, line: str) -> None:
    moved.write_text(f"{DOCSTRING}{line}\n")

    with pytest.raises(RebaseError, match="Let it follow bbbb by hand"):
        rebase(script(moved), None, "c")

    assert moved.read_text() == f"{DOCSTRING}{line}\n"
