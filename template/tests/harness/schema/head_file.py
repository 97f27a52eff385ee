"""`head`, a file beside env.py with the ID of the head: two branches that each add a revision conflict in git.

Without it, git merges both, and the deployment finds two heads. The commands `revision` and `rebase` write it.
"""

from pathlib import Path

NAME = "head"


def write(folder: Path, head: str) -> None:
    """Write the head of the migrations in this folder."""
    (folder / NAME).write_text(f"{head}\n", encoding="utf-8")


def read(folder: Path) -> str | None:
    """What the file says; None without the file."""
    try:
        return (folder / NAME).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
