"""What only the service's owner can decide, or has to change."""

PLUGINS = """\
{} has `pytest_plugins` already. Add "{}" to its list."""
SEVERAL = """\
Several applications were found: {}. The first was taken. To test another, change `application`."""
OF_DATABASES = """\
These create a database or its tables, which the harness does from the migrations. Delete these lines of them, or the
whole function if no test requests it. Move what else a fixture sets, such as environment variables."""
SYNCHRONOUS = """\
The engines are synchronous: in a test, they share one connection, one statement at a time. TestClient and the service's
own sessions work as they are. What a fixture with a wider scope than a function writes is in every test until the
fixture ends. A test with several connections at once needs @pytest.mark.own_database."""
HEADERS = """\
Malformed requests are sent by `client`, without a token. To send them with a token, name a fixture that returns
headers: malformed_request_client = "{}"."""
HIDING = """\
These fixtures have the name of one of the harness's. Your tests use yours; the harness does not need its own."""
REPLACING = """\
Rename these fixtures: the harness itself requests a fixture of this name, and would get yours."""
BACKENDS = """\
Delete these fixtures. The harness has the fixture anyio_backend, with one event loop of asyncio for the whole run."""
TRUSTED_HOSTS = """\
The application has TrustedHostMiddleware. Set base_url under [tool.savepoint] to an address that it accepts:
base_url = "http://localhost"."""
WITHOUT_MIGRATIONS = """\
There is no alembic.ini: the schema of the tests is that of the models, and the checks of migrations are skipped."""
BARE_IMPORTS = """\
These lines import modules of {0}/ by their bare names, which works in a folder that is no package. Write
`from {1} import …`, or add "{0}" to pythonpath of pytest."""
TESTPATHS = """\
testpaths of pytest leaves the checks out of a plain run. Add "{}" to it."""
HIDDEN = """\
Python imports these folders as `{0}`, and cannot find them beside {0}/. Add an __init__.py to the folder above each."""
NO_APPLICATION = """\
No application was found: no function returns a FastAPI, and no module has one. Write it into pyproject.toml, and run
this again:

[tool.savepoint]
application = "app.main:app"    # or a function: "app.main:create_app()"
"""
WHERE = """\
Run this in the folder of pyproject.toml; if there is none, in that of the requirements or of alembic.ini."""
NO_METADATA = """\
No metadata was found: no env.py has target_metadata, and no module has a declarative base. Write it into
pyproject.toml, and run this again:

[tool.savepoint]
models_metadata = "app.models:Base.metadata"
"""
