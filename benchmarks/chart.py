"""The cost of a test as bars in SVG: the request itself, and what isolation adds. Readable in light and in dark."""

from xml.sax.saxutils import escape

from benchmarks.contenders import CONTENDERS
from benchmarks.targets import Results

WIDTH, LABELS, ROW, TOP = 720, 210, 30, 44
# Room on the right for the number.
LONGEST = WIDTH - LABELS - 90

STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.ours { font-weight: 600; }
.floor { fill: #8c959f; }
.added { fill: #cf6a00; }
.ours-added { fill: #1a7f37; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .floor { fill: #6e7681; }
  .added { fill: #f0883e; }
  .ours-added { fill: #3fb950; }
}"""


def svg(results: Results) -> str:
    """A bar for each contender, in ms per test, on a scale that begins at 0 and is linear."""
    shown = [contender for contender in CONTENDERS if contender.name in results.per_test]
    floor = 1000 * results.per_test["none"].median
    longest = 1000 * max(results.per_test[contender.name].median for contender in shown)
    height = TOP + ROW * len(shown) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">',
        "<title>Milliseconds per test, by how the test is isolated</title>",
        f"<style>\n{STYLE}\n</style>",
        '<text x="8" y="22">ms per test: the request itself (grey), and what isolation adds</text>',
    ]
    for number, contender in enumerate(shown):
        y = TOP + ROW * number
        taken = 1000 * results.per_test[contender.name].median
        base = LONGEST * min(taken, floor) / longest
        added = LONGEST * max(taken - floor, 0) / longest
        is_ours = contender.conftest is None
        label, ours = escape(contender.title.strip("*")), ' class="ours"' if is_ours else ""
        parts += [
            f'<text x="{LABELS - 10}" y="{y + 16}" text-anchor="end"{ours}>{label}</text>',
            f'<rect class="floor" x="{LABELS}" y="{y}" width="{base:.1f}" height="22"/>',
            f'<rect class="{"ours-added" if is_ours else "added"}" x="{LABELS + base:.1f}" y="{y}" '
            f'width="{added:.1f}" height="22"/>',
            f'<text x="{LABELS + base + added + 8:.1f}" y="{y + 16}"{ours}>{taken:.1f}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])
