"""README's table of what is caught, written from the catalogue."""

from tests.mistakes.catalogue import SampleTest, Tool
from tests.mistakes.families import FAMILIES, MISTAKES, RIGHT
from tests.pages import between
from tests.rendering import ROOT

README = ROOT / "README.md"
MARKER = "mistakes"


def table() -> str:
    """The table in Markdown: a row for each mistake, by family, and each family folded up."""
    by_samples = sum(isinstance(mistake.caught_by, SampleTest) for mistake in MISTAKES)
    by_tools = sum(isinstance(mistake.caught_by, Tool) for mistake in MISTAKES)
    by_harness = len(MISTAKES) - by_samples - by_tools
    lines = [
        f"{len(MISTAKES)} mistakes are caught: {by_harness} by the harness, {by_tools} by ruff, {by_samples} by sample "
        f"tests. {len(RIGHT)} patterns that look like one, and are right, pass."
    ]
    for family in FAMILIES:
        rows = [f"| {mistake.name} | {mistake.caught_by.by} |" for mistake in family.MISTAKES]
        summary = f"<details><summary>{family.TITLE}: {len(rows)}</summary>"
        lines += ["", summary, "", "| mistake | caught by |", "| --- | --- |", *rows, "", "</details>"]
    return "\n".join(lines)


def current() -> str:
    """README.md as it ought to be."""
    return between(README.read_text(), MARKER, table())
