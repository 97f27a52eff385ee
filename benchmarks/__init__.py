"""The harness against the other ways to isolate a test: `uv run python -m benchmarks`.

One command and one run on one server: it renders a project from the working tree, gives it 30 tables, measures, and
prints Markdown. Ratios within a run are what counts; milliseconds are those of the machine that is named beside them.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

# The harness as `harness`, as in this repository's tests: its own classes start the server.
sys.path.append(str(ROOT / "template" / "tests"))
