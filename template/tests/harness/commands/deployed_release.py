"""Runs the tests of the release before this branch on the schema of this branch, as a deployment does for some minutes.

While a release is deployed, the migrations have run and the release before it still answers requests. Its files come
from git and its migrations are replaced by those of this branch. Its tests run in this environment, with the packages
that this branch has.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

PLUGIN = Path(__file__).with_name("failed_requests.py")
FAILED = """
These tests of {} fail on the schema of this branch, so its requests can fail while this branch is deployed. Deploy in
steps: first a release that works with both schemas. If that cannot be, or the tests are not about requests, add the
reason to the revision: incompatible = "the service is stopped meanwhile"
"""


def run(plan: dict[str, Any], arguments: list[str]) -> int:
    """Print what fails; returns the exit code.

    Args:
        plan: what `compatible` has found.
        arguments: more arguments of pytest.
    """
    if plan["note"]:
        print(plan["note"])
        return 0
    print(f"The tests of {plan['since']} ({plan['commit'][:10]}), on the schema of this branch:", flush=True)
    with TemporaryDirectory() as folder:
        project = _release(Path(folder), plan)
        plugin = Path(folder, "plugin")
        plugin.mkdir()
        shutil.copy(PLUGIN, plugin)
        paths = [plugin, project / "src", project, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", PLUGIN.stem, "-q", f"--ignore={plan['harness']}", *arguments],
            cwd=project,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(str(path) for path in paths if str(path))},
            check=False,
        )
    if done.returncode == 1:
        print(FAILED.format(plan["since"]))
    return done.returncode


def _release(folder: Path, plan: dict[str, Any]) -> Path:
    """The release's files, with the migrations of this branch; returns the folder of the project."""
    here = Path.cwd()
    top = Path(_git("rev-parse", "--show-toplevel").decode().strip())
    release = folder / "release"
    # Not `git archive`, which leaves out what .gitattributes marks as export-ignore: often the tests.
    index = {"GIT_INDEX_FILE": str(folder / "index")}
    _git("-C", str(top), "read-tree", plan["commit"], **index)
    _git("-C", str(top), "checkout-index", "--all", f"--prefix={release}{os.sep}", **index)
    project = release / here.resolve().relative_to(top.resolve())
    for name in plan["versions"]:
        for path in (project / name).rglob("*.py"):
            path.unlink()
    for name in plan["files"]:
        target = project / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(here / name, target)
    return project


def _git(*arguments: str, **variables: str) -> bytes:
    git = shutil.which("git")
    assert git is not None, "compatible has called git"
    return subprocess.run([git, *arguments], env={**os.environ, **variables}, stdout=subprocess.PIPE, check=True).stdout
