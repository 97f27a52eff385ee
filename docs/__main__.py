"""`uv run python -m docs` records README's pictures anew: a copy with its questions, and a run."""

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from docs import terminal
from tests.environment import UV, clean
from tests.releases import current_version
from tests.rendering import git, snapshot

PICTURES = Path(__file__).with_name("pictures")

# Each question's default.
ENTER = ["\r"] * 8


def main() -> None:
    """Render, run, and write the pictures."""
    folder = Path(tempfile.mkdtemp(prefix="savepoint-pictures-"))
    try:
        template = snapshot(folder / "savepoint")
        env = clean(os.environ) | {"UV_NO_PROGRESS": "1"}
        replaced = {
            re.escape(str(folder)): "~",
            # Where root's server is run from; everybody else's is run from where it is installed.
            r"/var/cache/savepoint/\w+": "~/my-service/.venv/lib/python3.11/site-packages",
        }
        git(template, "tag", f"v{current_version()}")
        copy = [sys.executable, "-m", "copier", "copy", str(template), "my-service"]
        asked = terminal.run(copy, folder, env, ENTER)
        project = folder / "my-service"
        # What a first run does beside testing: it installs. The second is what its owner sees every day.
        terminal.run([UV, "run", "pytest"], project, env)
        passed = terminal.run([UV, "run", "pytest", "-p", "no:cacheprovider"], project, env)
        title = "uvx copier copy https://github.com/<owner>/savepoint my-service"
        (PICTURES / "questions.svg").write_text(terminal.svg(title, asked, replaced, left_out="> +create<"))
        (PICTURES / "run.svg").write_text(terminal.svg("uv run pytest", passed, replaced))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
