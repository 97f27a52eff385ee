"""The template's history, and projects that were rendered from it."""

from pathlib import Path

import pytest

from tests.releases import HistoryError
from tests.upgrades import history as histories
from tests.upgrades.history import History
from tests.upgrades.lived_in import Owned


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """The template with its releases, each worker's own."""
    try:
        return histories.make(tmp_path_factory.mktemp("history") / "savepoint")
    except HistoryError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def project(history: History, tmp_path: Path) -> Owned:
    """A default project of the version to come, in a repository, for one test to write into."""
    return Owned.rendered(history.folder, history.next, tmp_path / "project")
