"""The redirection of this process: it listens from the import of `tests` to the end of the run."""

import pytest

from ..core.settings import settings_of
from .redirect import Redirect

PROCESS_REDIRECT = Redirect()
REDIRECT = pytest.StashKey[Redirect]()


def configure(config: pytest.Config) -> None:
    config.stash[REDIRECT] = PROCESS_REDIRECT
    PROCESS_REDIRECT.root = config.rootpath
    PROCESS_REDIRECT.role = settings_of(config).application_role
    PROCESS_REDIRECT.listen(is_late=True)
    config.add_cleanup(PROCESS_REDIRECT.stop)


@pytest.fixture(scope="session")
def _redirect() -> Redirect:
    """Redirects the connections of this process."""
    return PROCESS_REDIRECT
