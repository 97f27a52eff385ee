"""The section of README.md that the command writes, between two markers, and the chart beside this file."""

from pathlib import Path

from benchmarks import ROOT

README = ROOT / "README.md"
CHART = Path(__file__).with_name("chart.svg")

BEGIN, END = "<!-- benchmarks:begin -->", "<!-- benchmarks:end -->"
IMAGE = f"![Milliseconds per test, by how the test is isolated]({CHART.relative_to(ROOT).as_posix()})"


def rewritten(page: str, table: str) -> str:
    """The page with this between its markers, and nothing else changed; raises ValueError without markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"there are no {BEGIN} and {END} in the page")
    return f"{before}{BEGIN}\n\n{IMAGE}\n\n{table.strip()}\n\n{END}{after}"


def write(table: str, chart: str) -> None:
    """Write both into the working tree."""
    page = rewritten(README.read_text(), table)
    CHART.write_text(chart)
    README.write_text(page)
