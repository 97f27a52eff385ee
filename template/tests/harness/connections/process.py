"""The one redirection of this process, which listens before there is a run, and to the end of it."""

import pytest

from .redirect import Redirect

OF_PROCESS = Redirect()
REDIRECT = pytest.StashKey[Redirect]()


def configure(config: pytest.Config) -> None:
    config.stash[REDIRECT] = OF_PROCESS
    OF_PROCESS.root = config.rootpath
    OF_PROCESS.listen()
    config.add_cleanup(OF_PROCESS.stop)


@pytest.fixture(scope="session")
def _redirect() -> Redirect:
    """Where the process's connections go."""
    return OF_PROCESS
