"""README's table of what is caught, written from the catalogue."""

from tests.mistakes.families import FAMILIES, MISTAKES, RIGHT
from tests.pages import between
from tests.rendering import ROOT

README = ROOT / "README.md"
MARKER = "mistakes"


def table() -> str:
    """The table in Markdown: a row for each mistake, by family."""
    lines = [f"{len(MISTAKES)} mistakes are caught. {len(RIGHT)} patterns that look like one, and are right, pass."]
    for family in FAMILIES:
        rows = [f"| {mistake.name} | {mistake.caught_by.by} |" for mistake in family.MISTAKES]
        lines += ["", f"| {family.TITLE} | caught by |", "| --- | --- |", *rows]
    return "\n".join(lines)


def current() -> str:
    """README.md as it ought to be."""
    return between(README.read_text(), MARKER, table())
