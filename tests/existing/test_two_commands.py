"""Two commands in the folder of a service end with what is wrong; a few lines of its own files have changed."""

import difflib
import re
import shutil
from pathlib import Path

import pytest

from tests.environment import UV, synced
from tests.existing.conftest import SERVICES, Add
from tests.rendering import ROOT


@pytest.mark.parametrize("name", ["flat", "synchronous"])
def test_two_commands_end_with_the_first_report(name: str, add: Add, default_python: Path, tmp_path: Path) -> None:
    folder = tmp_path / name
    shutil.copytree(SERVICES / name, folder)
    (folder / "conftest.py").unlink(missing_ok=True)
    project = folder / "pyproject.toml"
    # What adopt finds by itself. The address and the schema are named by messages, the first time.
    found = r"^(postgres_version|application|models_metadata) = .*\n"
    project.write_text(re.sub(found, "", project.read_text(), flags=re.M))
    (folder / "app" / "fines.py").write_text('class Fine:\n    __tablename__ = "fines"\n')
    own = {path: path.read_text() for path in folder.rglob("*.*") if path.is_file()}
    service = synced(folder, tmp_path / "environment", default_python)
    add(folder)
    readme = (ROOT / "README.md").read_text()
    [command] = re.findall(r"^uv run (.* -m tests\.harness\.adopt --write --check)$", readme, re.M)

    done = service.run(UV, "run", *command.split())

    assert "DATA CAN BE LOST OR EXPOSED" in done.stdout, done.stdout
    assert "app/fines.py" in done.stdout
    assert done.returncode == 1
    lines = [
        line
        for path, text in own.items()
        for line in difflib.ndiff(text.splitlines(), path.read_text().splitlines() if path.exists() else [])
        if line.startswith(("+ ", "- ")) and line[2:].strip()
    ]
    assert len(lines) <= 10, lines
