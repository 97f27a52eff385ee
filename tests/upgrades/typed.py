"""Commands of a page, typed into a shell as its reader would; only addresses are replaced, and `uv` by a script."""

import os
import shlex
import subprocess
from pathlib import Path

from tests.environment import clean
from tests.quick_renders import COPIER

# Of the reader, whose Git has a name.
OWNER = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "The Owner"), ("EMAIL", "owner@example.com"))
}


def typed(script: str, folder: Path, uv: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the commands in a folder.

    Args:
        uv: the text of the script that takes the place of uv.
        options: of bash; without `-e`, it does not stop by itself, as a terminal does not.
    """
    program = folder.parent / "bin" / "uv"
    program.parent.mkdir(exist_ok=True)
    program.write_text(uv)
    program.chmod(0o755)
    env = {**clean(os.environ), **OWNER}
    return subprocess.run(
        ["bash", *options, "-c", script.replace("uvx copier", shlex.join(COPIER))],
        cwd=folder,
        env={**env, "PATH": f"{program.parent}:{env['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
