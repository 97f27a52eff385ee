"""What is started and not awaited, opened and not closed, or blocks whatever else is under way."""

from tests.mistakes.catalogue import Change, Edit, File, Guarded, Mistake, Right, Rule, Tool
from tests.mistakes.routes import included

TITLE = "Async and resources"

TEST = "tests/test_mistake.py"
RIGHTS = "tests/test_right.py"

ONE_ERROR = Rule("one error for the run")


def route(body: str, imports: str = "", *, test: str = "", path: str = TEST) -> list[Change]:
    """A route of these lines, and a test that asks for it."""
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    module = f"""
{imports.strip()}
from fastapi import APIRouter, Request

router = APIRouter()


@router.get("/thing")
async def thing(request: Request) -> dict[str, str]:
{lines}
    return {{"thing": "done"}}
"""
    ask = """
from httpx import AsyncClient

async def test_the_thing(client: AsyncClient) -> None:
    assert (await client.get("/thing")).json() == {"thing": "done"}
"""
    return [File("src/shop/things.py", module), included("things"), File(path, test or ask)]


# A test of a route that asks another service.
MOCKED = """
import respx
from httpx import AsyncClient

@respx.mock
async def test_the_thing(client: AsyncClient) -> None:
    respx.get("https://rates.example.com/today").respond(200)
    assert (await client.get("/thing")).status_code == 200
"""


def lifespan(before: str, after: str = "") -> Edit:
    """Lines of the application's lifespan, before its yield and after."""
    old = "    http_client = HTTPXClient(timeout=settings.stripe_timeout_seconds)\n"
    return Edit("src/shop/main.py", old, f"    {before}\n{old}" if not after else f"{old}    {after}\n")


MISTAKES: list[Mistake] = [
    Mistake(
        "a coroutine that nobody awaits",
        "The mail is never sent, and nothing says so.",
        route("send_mail()", "async def send_mail() -> None: ...\n"),
        Rule("warnings as errors"),
        ["coroutine 'send_mail' was never awaited"],
    ),
    Mistake(
        "a background task that raises",
        "The answer was 200, and what it promised has not been done.",
        route(
            "task = asyncio.create_task(send_mail())\ntask.add_done_callback(SENT.append)",
            "import asyncio\n\nSENT: list[object] = []\n\n\nasync def send_mail() -> None:\n"
            '    await asyncio.sleep(0)\n    raise ConnectionError("no mail server")\n',
        ),
        Guarded("leaked_task"),
        ["was not awaited and raised ConnectionError: no mail server\n  src/shop/things.py"],
    ),
    Mistake(
        "a task that is left running",
        "It goes on in the tests after it, and fails them instead.",
        [
            File(
                TEST,
                """
import asyncio

KEPT: list[asyncio.Task[None]] = []

async def poll() -> None:
    while True:
        await asyncio.sleep(3600)

async def test_polling() -> None:
    KEPT.append(asyncio.create_task(poll(), name="poller"))
    await asyncio.sleep(0)
""",
            )
        ],
        Guarded("leaked_task"),
        [
            "task poller (poll) was still running when the test ended:\n  tests/test_mistake.py:8",
            "cancel it and then await it",
        ],
    ),
    Mistake(
        "a context variable that a test leaves set",
        "The next test is somebody else's tenant.",
        [
            File(
                TEST,
                """
from contextvars import ContextVar

TENANT: ContextVar[str] = ContextVar("tenant", default="nobody")

async def test_a_tenant() -> None:
    TENANT.set("acme")
    assert TENANT.get() == "acme"
""",
            )
        ],
        Guarded("leaked_contextvar"),
        ["did not reset them: tenant", "reset()"],
    ),
    Mistake(
        "time.sleep() in a route",
        "While one request sleeps, no other is answered.",
        route("time.sleep(0.01)", "import time\n"),
        Guarded("blocking_call"),
        ["time.sleep() blocked the event loop:\n  src/shop/things.py", "asyncio.sleep()"],
    ),
    Mistake(
        "a process that a route waits for",
        "While it runs, no other request is answered.",
        route('subprocess.run(["true"], check=True)', "import subprocess\n"),
        Guarded("blocking_call"),
        ["a subprocess blocked the event loop:\n  src/shop/things.py", "create_subprocess_exec"],
    ),
    Mistake(
        "time.sleep() in a route, read by the linter",
        "The same, in code that no test runs.",
        route("time.sleep(0.01)", "import time\n"),
        Tool("ruff ASYNC251", ("ruff", "check", "src")),
        ["ASYNC251", "src/shop/things.py"],
    ),
    Mistake(
        "a relationship that is loaded when it is read",
        "The first request that reads it is answered with 500.",
        [
            Edit(
                "src/shop/models.py",
                '    __tablename__ = "users"\n',
                '    __tablename__ = "users"\n    payments: Mapped[list["Payment"]] = relationship()\n',
            ),
            Edit(
                "src/shop/models.py",
                "from sqlalchemy.orm import Mapped, mapped_column\n",
                "from sqlalchemy.orm import Mapped, mapped_column, relationship\n",
            ),
            Edit(
                "src/shop/payments.py",
                "    payment = await db.scalar(same_key)\n",
                "    assert len(current.payments) < 100\n    payment = await db.scalar(same_key)\n",
            ),
            File(
                TEST,
                """
from httpx import AsyncClient

from tests.harness.stripe import MockStripe

async def test_pay(mock_stripe: MockStripe, user_client: AsyncClient) -> None:
    body = {"amount": 350, "currency": "eur", "payment_method": "pm_card_visa"}
    await user_client.post("/payments", json=body, headers={"Idempotency-Key": "order-4711"})
""",
            ),
        ],
        Rule("the application's exceptions, raised in the test"),
        ["POST /payments read User.payments", "src/shop/payments.py", "options(selectinload(User.payments))"],
    ),
    Mistake(
        "a file that nobody closes",
        "After a thousand requests, the process may open no more.",
        route("open(__file__)"),
        Rule("warnings as errors"),
        ["ResourceWarning", "unclosed file"],
    ),
    Mistake(
        "an HTTP client that nobody closes",
        "Its connections stay open: after some hundred requests, the process may open no more.",
        route(
            'client = httpx.AsyncClient()\nawait client.get("https://rates.example.com/today")',
            "import httpx\n",
            test=MOCKED,
        ),
        Guarded("unclosed_http_client"),
        [
            "GET /thing created an httpx client and did not close it",
            "src/shop/things.py",
            "async with httpx.AsyncClient()",
        ],
    ),
    Mistake(
        "a session left open",
        "Ten such requests, and the pool is empty.",
        route(
            'session = request.state.session_factory()\nawait session.execute(text("SELECT 1"))\nKEPT.append(session)',
            "from sqlalchemy import text\n\nKEPT: list[object] = []\n",
        ),
        Rule("the savepoint's rules"),
        ["a connection checked out for GET /thing (src/shop/things.py:13, in thing)", "Close the session"],
    ),
    Mistake(
        "a connection that stays checked out after an error",
        "Ten such errors, and the pool is empty.",
        route(
            'session = request.state.session_factory()\nawait session.execute(text("SELECT 1"))\nKEPT.append(session)',
            "from sqlalchemy import text\n\nKEPT: list[object] = []\n",
            test="""
import pytest
from httpx import AsyncClient

@pytest.mark.own_database
async def test_the_thing(client: AsyncClient) -> None:
    assert (await client.get("/thing")).status_code == 200
""",
        ),
        Rule("the pool, when a test with a database of its own has ended"),
        ["a connection checked out for GET /thing (src/shop/things.py:13, in thing)", "Still open when the test ended"],
    ),
    Mistake(
        "a lifespan that fails to start",
        "The deployment hangs, or restarts for ever.",
        [lifespan('raise RuntimeError("no broker")'), *route("...")[2:]],
        ONE_ERROR,
        ["The lifespan of the application", "failed with RuntimeError: no broker", "src/shop/main.py"],
    ),
    Mistake(
        "a lifespan that dies while it serves",
        "Its workers are gone, and the service still answers.",
        [
            Edit(
                "src/shop/main.py",
                "@asynccontextmanager\nasync def lifespan",
                "async def work() -> None:\n    await asyncio.sleep(0)\n"
                '    raise ConnectionError("the broker is gone")\n\n\n'
                "@asynccontextmanager\nasync def lifespan",
            ),
            Edit("src/shop/main.py", "from collections.abc import", "import asyncio\nfrom collections.abc import"),
            Edit(
                "src/shop/main.py",
                "    try:\n        yield {",
                "    group = asyncio.TaskGroup()\n    try:\n      async with group:\n"
                "        group.create_task(work())\n        yield {",
            ),
            File(
                TEST,
                """
import asyncio

from httpx import AsyncClient

async def test_the_health(client: AsyncClient) -> None:
    await asyncio.sleep(0.05)
""",
            ),
        ],
        ONE_ERROR,
        [
            "failed with ConnectionError: the broker is gone",
            "The lifespan ended during tests/test_mistake.py::test_the_health",
        ],
    ),
    Mistake(
        "a client without the lifespan",
        "The test fails by an attribute that is missing, and somebody sets it by hand.",
        [
            File(
                TEST,
                """
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

async def test_the_health(app: FastAPI) -> None:
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        assert (await client.get("/health")).status_code == 200
""",
            )
        ],
        Rule("the application's exceptions, raised in the test"),
        ["AttributeError", "session_factory"],
    ),
]

RIGHT: list[Right] = [
    Right(
        "a middleware with the id of a request, and a test of a 500",
        [
            *route(
                'REQUEST.set("1")\nraise RuntimeError(REQUEST.get())',
                'from contextvars import ContextVar\n\nREQUEST: ContextVar[str] = ContextVar("request")\n',
                path=RIGHTS,
                test="""
from httpx import AsyncClient

from tests.harness import NewClient

async def test_a_500(new_client: NewClient) -> None:
    client = await new_client(raise_app_exceptions=False)
    response = await client.get("/thing")
    assert response.status_code == 500
""",
            ),
            Edit(
                "src/shop/main.py",
                "    app.include_router(users.router)\n",
                "    from shop.request_ids import RequestIds\n\n    app.add_middleware(RequestIds)\n"
                "    app.include_router(users.router)\n",
            ),
            File(
                "src/shop/request_ids.py",
                """
from contextvars import ContextVar

from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response

REQUEST_ID: ContextVar[str] = ContextVar("request_id")


class RequestIds(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        token = REQUEST_ID.set(request.headers.get("x-request-id", "none"))
        try:
            response = await call_next(request)
        finally:
            REQUEST_ID.reset(token)
        response.headers["x-request-id"] = "1"
        return response
""",
            ),
        ],
    ),
    Right(
        "a background task that ends",
        route(
            "KEPT.add(task := asyncio.create_task(send_mail()))\ntask.add_done_callback(KEPT.discard)",
            "import asyncio\n\nKEPT: set[asyncio.Task[None]] = set()\n\n\nasync def send_mail() -> None:\n"
            "    await asyncio.sleep(0.05)\n",
            path=RIGHTS,
        ),
    ),
    Right(
        "an HTTP client that is closed, one that is kept, and one that never connects",
        route(
            "async with httpx.AsyncClient() as client:\n"
            '    await client.get("https://rates.example.com/today")\n'
            'KEPT.setdefault("client", httpx.AsyncClient())\n'
            'await KEPT["client"].get("https://rates.example.com/today")\nhttpx.AsyncClient()',
            "import httpx\n\nKEPT: dict[str, httpx.AsyncClient] = {}\n",
            test=MOCKED,
            path=RIGHTS,
        ),
    ),
    Right(
        "a streaming response",
        [
            File(
                "src/shop/things.py",
                """
import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

router = APIRouter()


async def lines() -> AsyncIterator[str]:
    for number in range(3):
        await asyncio.sleep(0)
        yield f"{number}\\n"


@router.get("/thing")
async def thing() -> StreamingResponse:
    return StreamingResponse(lines())
""",
            ),
            included("things"),
            File(
                RIGHTS,
                """
from httpx import AsyncClient

async def test_the_thing(client: AsyncClient) -> None:
    assert (await client.get("/thing")).text == "0\\n1\\n2\\n"
""",
            ),
        ],
    ),
    Right(
        "a context variable that the application sets for a request",
        route(
            'TENANT.set("acme")',
            'from contextvars import ContextVar\n\nTENANT: ContextVar[str] = ContextVar("tenant")\n',
            path=RIGHTS,
        ),
    ),
    Right(
        "a context variable that is put back",
        [
            File(
                RIGHTS,
                """
from contextvars import ContextVar

TENANT: ContextVar[str] = ContextVar("tenant", default="nobody")

async def test_a_tenant() -> None:
    before = TENANT.set("acme")
    assert TENANT.get() == "acme"
    TENANT.reset(before)
""",
            )
        ],
    ),
    Right(
        "what blocks, in a thread",
        route("await asyncio.to_thread(time.sleep, 0.01)", "import asyncio\nimport time\n", path=RIGHTS),
    ),
    Right(
        "a process that is awaited",
        route(
            'process = await asyncio.create_subprocess_exec("true")\nassert await process.wait() == 0',
            "import asyncio\n",
            path=RIGHTS,
        ),
    ),
    Right(
        "task groups, timeouts and gather in a test",
        [
            File(
                RIGHTS,
                """
import asyncio

import anyio

async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number

async def test_all_of_it() -> None:
    async with anyio.create_task_group() as group, asyncio.timeout(10):
        group.start_soon(double, 1)
        assert await asyncio.gather(double(1), double(2)) == [2, 4]
""",
            )
        ],
    ),
    Right(
        "a lifespan with a worker that starts tasks of its own",
        [
            Edit("src/shop/main.py", "from collections.abc import", "import asyncio\nfrom collections.abc import"),
            Edit(
                "src/shop/main.py",
                "    try:\n        yield {",
                "    jobs: list[asyncio.Task[None]] = []\n\n"
                "    async def work() -> None:\n        while True:\n            await asyncio.sleep(0.01)\n"
                "            jobs.append(asyncio.create_task(asyncio.sleep(3600)))\n\n"
                "    worker = asyncio.create_task(work())\n    try:\n        yield {",
            ),
            Edit(
                "src/shop/main.py",
                "        await engine.dispose()\n",
                "        for task in [worker, *jobs]:\n            task.cancel()\n"
                "        await asyncio.gather(worker, *jobs, return_exceptions=True)\n"
                "        await engine.dispose()\n",
            ),
            File(
                RIGHTS,
                """
import asyncio

from httpx import AsyncClient

async def test_the_health(client: AsyncClient) -> None:
    await asyncio.sleep(0.1)
    assert (await client.get("/health")).status_code == 200
""",
            ),
        ],
    ),
]
