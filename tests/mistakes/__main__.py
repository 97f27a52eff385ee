"""`uv run python -m tests.mistakes` writes README's table."""

from tests.mistakes.table import README, current

README.write_text(current())
