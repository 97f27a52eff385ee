"""The sections of README.md that the command writes, each between two markers, and the chart beside this file."""

from pathlib import Path

from benchmarks import ROOT
from tests.pages import between

README = ROOT / "README.md"
CHART = Path(__file__).with_name("chart.svg")

IMAGE = f"![Milliseconds per test, by how the test is isolated]({CHART.relative_to(ROOT).as_posix()})"


def rewritten(page: str, table: str) -> str:
    """The page with this between its markers, and nothing else changed; raises ValueError without markers."""
    return between(page, "benchmarks", f"{IMAGE}\n\n{table.strip()}")


def with_checks(page: str, table: str) -> str:
    """The page with this as its section of the checks."""
    return between(page, "benchmark-of-checks", table.strip())


def write_checks(table: str) -> None:
    """Write the section of the checks into the working tree."""
    README.write_text(with_checks(README.read_text(), table))


def write(table: str, chart: str) -> None:
    """Write both into the working tree."""
    page = rewritten(README.read_text(), table)
    CHART.write_text(chart)
    README.write_text(page)
