"""Transactions that commit too late, too much, or not at all."""

from tests.mistakes.catalogue import Edit, Guarded, Mistake, Right, Rule, SampleTest
from tests.mistakes.routes import file_of_tests, routes

TITLE = "Transactions"

SAVEPOINT = Rule("the savepoint's rules")
ANOTHER_SESSION = Rule("`db_session`, which is another session than the application's")

MISTAKES: list[Mistake] = [
    Mistake(
        "a forgotten commit",
        "The answer says 201, and the row is gone with its session. A test of the answer alone passes.",
        [
            Edit(
                "src/shop/deps.py", "        yield session\n        await session.commit()\n", "        yield session\n"
            ),
            file_of_tests("""
async def test_sign_up(client: AsyncClient) -> None:
    assert (await client.post("/users", json=ADA)).status_code == 201
"""),
        ],
        Guarded("uncommitted_changes"),
        ["POST /users responded with 201", "changes to User are lost", "await session.commit()"],
    ),
    Mistake(
        "a change that is neither flushed nor committed",
        "The session closes, and the change was never sent. A test that shares the session sees it all the same.",
        [
            *routes("""
@router.post("/users/{id}/lock", response_model=UserOut)
async def lock(id: Id, request: Request) -> User:
    async with request.state.session_factory() as session:
        user = await session.get_one(User, id)
        user.is_active = False
    return user
"""),
            file_of_tests("""
async def test_lock(client: AsyncClient, create: Create) -> None:
    user = await create(UserFactory)

    assert (await client.post(f"/users/{user.id}/lock")).status_code == 200
"""),
        ],
        Guarded("uncommitted_changes"),
        ["POST /users/{id}/lock responded with 200", "changes to User are lost", "await session.commit()"],
    ),
    Mistake(
        "a forgotten commit, in code that is no route",
        "A job, a command or a consumer does its work, and nothing of it is left.",
        [
            *routes("""
async def lock_everybody(session_factory) -> None:
    async with session_factory() as session:
        await session.execute(update(User).values(is_active=False))
"""),
            file_of_tests("""
from shop.extra import lock_everybody

async def test_lock(session_factory: SessionFactory, create: Create, db_session: AsyncSession) -> None:
    await create(UserFactory)

    await lock_everybody(session_factory)

    assert (await db_session.scalars(select(User.is_active))).all() == [False]
"""),
        ],
        ANOTHER_SESSION,
        ["assert [True] == [False]"],
    ),
    Mistake(
        "a commit that comes after the response",
        "FastAPI answers before it ends a dependency, unless its scope is the function: a commit that fails was a 201.",
        [Edit("src/shop/deps.py", 'Depends(get_db, scope="function")', "Depends(get_db)")],
        Guarded("uncommitted_changes"),
        [
            "POST /users responded with 201 before its session committed changes to User",
            'Depends(get_db, scope="function")',
        ],
        run=["tests/test_users.py::test_sign_up"],
    ),
    Mistake(
        "a deferred constraint that is violated",
        "It is looked at by COMMIT, which a test that rolls back never sends.",
        [
            file_of_tests("""
async def test_a_tree(session_factory: SessionFactory) -> None:
    async with session_factory() as session:
        await session.execute(
            text("CREATE TABLE node (id int PRIMARY KEY, parent int REFERENCES node DEFERRABLE INITIALLY DEFERRED)")
        )
        await session.execute(text("INSERT INTO node VALUES (1, 2)"))
        await session.commit()
""")
        ],
        SAVEPOINT,
        ["IntegrityError", "node_parent_fkey"],
    ),
    Mistake(
        "a unique violation that is answered with 500",
        "Nobody has said what the constraint means, so the client is told that the server is broken.",
        [Edit("src/shop/errors.py", 'CONFLICTS = {"uq_users_email": "this e-mail is taken"}', "CONFLICTS = {}")],
        SampleTest("test_users.py::test_email_is_taken"),
        ["uq_users_email"],
    ),
    Mistake(
        "a look before the insert, instead of the constraint's answer",
        "Two requests at once both see that the e-mail is free; the second is answered with 500.",
        [
            Edit(
                "src/shop/users.py",
                "    db.add(user)\n",
                "    if await db.scalar(select(User).where(User.email == body.email)):\n"
                '        raise HTTPException(409, "this e-mail is taken")\n'
                "    db.add(user)\n",
            ),
            Edit("src/shop/errors.py", "    app.add_exception_handler(IntegrityError, answer_conflict)\n", ""),
        ],
        SampleTest("test_users.py::test_one_email_twice_at_once"),
        ["uq_users_email"],
    ),
    Mistake(
        "a lost update",
        "Read, decide, write, with no lock: of two events at once, the later write undoes what the other has decided.",
        [
            Edit(
                "src/shop/payments.py",
                "    known = update(Payment).where("
                "Payment.stripe_id == intent.id, Payment.status.in_(BEFORE[status]))\n"
                "    return await db.scalar(known.values(changes).returning(Payment.id)) is not None\n",
                "    payment = await db.scalar(select(Payment).where(Payment.stripe_id == intent.id))\n"
                "    if payment is None or payment.status not in BEFORE[status]:\n"
                "        return False\n"
                "    payment.status = status\n"
                "    return True\n",
            )
        ],
        SampleTest("test_payments.py::test_events_at_once_undo_nothing"),
        ["['failed'] == ['succeeded']", "write one after the other when its lock is gone"],
    ),
    Mistake(
        "a transaction that is open while Stripe is asked",
        "A slow answer keeps a connection and its locks: a handful of payments empties the pool for everybody.",
        [
            Edit(
                "src/shop/payments.py",
                "        await db.commit()\n        intent = await _charge(",
                "        intent = await _charge(",
            )
        ],
        Guarded("idle_in_transaction"),
        ["a request to api.stripe.com", "src/shop/payments.py", "`await session.commit()` before the request"],
        run=["tests/test_payments.py::test_pay"],
    ),
    Mistake(
        "a session that is left open",
        "Its connection never comes back to the pool.",
        [
            *routes("""
sessions = []

@router.get("/number-of-users")
async def number_of_users(request: Request) -> int:
    sessions.append(request.state.session_factory())
    return await sessions[-1].scalar(select(func.count()).select_from(User))
"""),
            file_of_tests("""
async def test_number_of_users(client: AsyncClient) -> None:
    assert (await client.get("/number-of-users")).json() == 0
"""),
        ],
        SAVEPOINT,
        [
            "checked out for GET /number-of-users (src/shop/extra.py",
            "Still open when the test ended",
            "Close the session",
        ],
    ),
    Mistake(
        "a commit inside a session that is rolled back",
        "In production the inner one stays: an audit of what never happened. In one transaction both would go.",
        [
            file_of_tests("""
async def test_an_audit(session_factory: SessionFactory, db_session: AsyncSession) -> None:
    async with session_factory() as session:
        session.add(User(email="ada@example.com", hashed_password="x"))
        await session.flush()
        async with session_factory() as audit:
            audit.add(User(email="audit@example.com", hashed_password="x"))
            await audit.commit()
        await session.rollback()
    assert await count(db_session) == 0
""")
        ],
        SAVEPOINT,
        ["would also undo what another transaction has committed", "@pytest.mark.own_database"],
    ),
    Mistake(
        "a COMMIT that is sent as SQL",
        "It commits the whole test for real, and the next test finds its rows.",
        [
            *routes("""
@router.post("/import", status_code=201)
async def import_users(db: Db) -> None:
    await db.execute(insert(User).values(email="ada@example.com", hashed_password="x"))
    await db.execute(text("COMMIT"))
"""),
            file_of_tests("""
async def test_import(client: AsyncClient) -> None:
    await client.post("/import")
"""),
        ],
        SAVEPOINT,
        ["BEGIN, COMMIT or ROLLBACK was sent as SQL. It would end the test's transaction", "`await session.commit()`"],
    ),
    Mistake(
        "another isolation level, in a transaction that has begun",
        "It cannot change any more, so the test would show what READ COMMITTED does.",
        [
            file_of_tests("""
async def test_a_report(session_factory: SessionFactory) -> None:
    async with session_factory() as session:
        await session.connection(execution_options={"isolation_level": "SERIALIZABLE"})
        await count(session)
""")
        ],
        SAVEPOINT,
        ["The isolation level cannot change after the test's transaction has begun", "@pytest.mark.own_database"],
    ),
    Mistake(
        "requests that are gathered on one connection",
        "Their savepoints get into each other: what one commits, another takes back.",
        [
            file_of_tests("""
async def test_two_at_once(client: AsyncClient) -> None:
    await asyncio.gather(*[client.post("/users", json={**ADA, "email": f"{n}@example.com"}) for n in range(2)])
""")
        ],
        SAVEPOINT,
        ["Two tasks use the database at the same time", "@pytest.mark.own_database"],
        alone="they overlap for certain only as long as the application has answered none",
    ),
    Mistake(
        "a tenant that only the request before has set",
        "SET LOCAL ends with its transaction: in production, whose rows are read is then nobody's choice.",
        [
            *routes("""
@router.put("/tenant/{tenant}", status_code=204)
async def choose(tenant: str, db: Db) -> None:
    await db.execute(text("SELECT set_config('app.tenant', :tenant, true)"), {"tenant": tenant})

@router.get("/tenant")
async def read(db: Db) -> str:
    return await db.scalar(text("SELECT current_setting('app.tenant', true)")) or "nobody"
"""),
            file_of_tests("""
async def test_tenant(client: AsyncClient) -> None:
    await client.put("/tenant/7")
    assert (await client.get("/tenant")).json() == "7"
"""),
        ],
        Rule("the savepoint, which ends what a commit ends"),
        ["assert 'nobody' == '7'"],
    ),
    Mistake(
        "an error that is swallowed, and a commit",
        "PostgreSQL answers the COMMIT of a failed transaction with ROLLBACK, and no error: 201, and nothing is saved.",
        [
            *routes("""
@router.post("/import", status_code=201)
async def import_users(db: Db) -> None:
    for email in ("ada@example.com", "ada@example.com"):
        with suppress(IntegrityError):
            await db.execute(insert(User).values(email=email, hashed_password="x"))
"""),
            file_of_tests("""
async def test_import(client: AsyncClient) -> None:
    await client.post("/import")
"""),
        ],
        SAVEPOINT,
        ["nothing is saved", "async with session.begin_nested():", "src/shop/deps.py"],
    ),
    Mistake(
        "a flush that failed, and a session that is used again",
        "Every statement after it is refused, until the session is rolled back.",
        [
            *routes("""
@router.post("/import", status_code=201)
async def import_users(db: Db) -> None:
    for email in ("ada@example.com", "ada@example.com", "grace@example.com"):
        db.add(User(email=email, hashed_password="x"))
        with suppress(IntegrityError):
            await db.flush()
"""),
            file_of_tests("""
async def test_import(client: AsyncClient) -> None:
    await client.post("/import")
"""),
        ],
        Rule("`client`, which raises the application's errors"),
        ["PendingRollbackError", "first issue Session.rollback()", "src/shop/extra.py"],
    ),
]

RIGHT: list[Right] = [
    Right(
        "a rollback of the test's session, and then a request; Core",
        [
            file_of_tests(
                """
@pytest.mark.parametrize("repeat", [1, 2])
async def test_sign_up_again(client: AsyncClient, db_session: AsyncSession, engine: AsyncEngine, repeat: int) -> None:
    db_session.add(User(**ROW))
    await db_session.flush()
    await db_session.rollback()
    assert (await client.post("/users", json=ADA)).status_code == 201
    async with engine.begin() as connection:
        await connection.execute(insert(User).values(email="core@example.com", hashed_password="x"))
    assert await count(db_session) == 2
""",
                "right",
            ),
        ],
    ),
    Right(
        "sessions of one task, properly nested",
        [
            file_of_tests(
                """
async def test_nested(session_factory: SessionFactory, db_session: AsyncSession) -> None:
    async with session_factory() as outer:
        outer.add(User(**ROW))
        await outer.flush()
        async with session_factory() as inner:
            inner.add(User(**{**ROW, "email": "inner@example.com"}))
            await inner.commit()
        await outer.commit()

    assert await count(db_session) == 2
""",
                "right",
            )
        ],
    ),
    Right(
        "an expected IntegrityError in a nested transaction, of the test or of the application",
        [
            *routes("""
@router.post("/import")
async def import_users(db: Db) -> int:
    taken = 0
    for email in ("ada@example.com", "ada@example.com", "grace@example.com"):
        try:
            async with db.begin_nested():
                db.add(User(email=email, hashed_password="x"))
        except IntegrityError:
            taken += 1
    return taken
"""),
            file_of_tests(
                """
async def test_import(client: AsyncClient, db_session: AsyncSession) -> None:
    assert (await client.post("/import")).json() == 1
    assert await count(db_session) == 2

async def test_taken(client: AsyncClient, db_session: AsyncSession) -> None:
    await client.post("/users", json=ADA)

    with pytest.raises(IntegrityError):
        async with db_session.begin_nested():
            db_session.add(User(**ROW))
            await db_session.flush()

    assert (await client.post("/users", json={**ADA, "email": "grace@example.com"})).status_code == 201
""",
                "right",
            ),
        ],
    ),
    Right(
        "a rollback of the application's, and going on",
        [
            *routes("""
@router.post("/try")
async def try_and_go_on(request: Request) -> None:
    async with request.state.session_factory() as session:
        session.add(User(email="lost@example.com", hashed_password="x"))
        await session.flush()
        await session.rollback()
        session.add(User(email="kept@example.com", hashed_password="x"))
        await session.commit()

@router.post("/dry-run")
async def dry_run(request: Request) -> int:
    async with request.state.session_factory() as session:
        session.add(User(email="lost@example.com", hashed_password="x"))
        await session.flush()
        number = await session.scalar(select(func.count()).select_from(User))
        await session.rollback()
        return number

@router.post("/refuse")
async def refuse(db: Db) -> None:
    db.add(User(email="lost@example.com", hashed_password="x"))
    await db.flush()
    raise HTTPException(409)
"""),
            file_of_tests(
                """
@pytest.mark.parametrize(("path", "status", "users"), [("try", 200, 1), ("dry-run", 200, 0), ("refuse", 409, 0)])
@pytest.mark.parametrize("mode", ["savepoint", pytest.param("own", marks=pytest.mark.own_database)])
async def test_rollback(
    client: AsyncClient, db_session: AsyncSession, path: str, status: int, users: int, mode: str
) -> None:
    assert (await client.post(f"/{path}")).status_code == status
    assert await count(db_session) == users
""",
                "right",
            ),
        ],
    ),
    Right(
        "a background task with a session and a commit of its own",
        [
            *routes("""
async def audit(session_factory) -> None:
    async with session_factory() as session:
        session.add(User(email="audit@example.com", hashed_password="x"))
        await session.commit()

@router.post("/audited", status_code=202)
async def audited(request: Request, background: BackgroundTasks) -> None:
    background.add_task(audit, request.state.session_factory)
"""),
            file_of_tests(
                """
@pytest.mark.parametrize("mode", ["savepoint", pytest.param("own", marks=pytest.mark.own_database)])
async def test_audit(client: AsyncClient, db_session: AsyncSession, mode: str) -> None:
    assert (await client.post("/audited")).status_code == 202
    assert await count(db_session) == 1
""",
                "right",
            ),
        ],
    ),
    Right(
        "a row that is locked, read and written: SELECT FOR UPDATE",
        [
            *routes("""
@router.post("/users/{id}/lock", response_model=UserOut)
async def lock(id: Id, db: Db) -> User:
    user = await db.get_one(User, id, with_for_update=True)
    user.is_active = not user.is_active
    return user
"""),
            file_of_tests(
                """
@pytest.mark.own_database
async def test_lock_twice(client: AsyncClient, create: Create, db_session: AsyncSession) -> None:
    user = await create(UserFactory)

    await asyncio.gather(*[client.post(f"/users/{user.id}/lock") for _ in range(2)])

    assert await db_session.scalar(select(User.is_active)) is True
""",
                "right",
            ),
        ],
    ),
    Right(
        "a call to another service with no transaction open, whatever the test's own sessions do",
        [
            *routes("""
@router.post("/ask")
async def ask(db: Db) -> int:
    before = await db.scalar(select(func.count()).select_from(User))
    await db.commit()
    async with httpx.AsyncClient() as client:
        status = (await client.get("https://api.example.com/")).status_code
    db.add(User(email="ada@example.com", hashed_password="x"))
    return before + status
"""),
            file_of_tests(
                """
@respx.mock
async def test_ask(client: AsyncClient, session_factory: SessionFactory, create: Create) -> None:
    respx.get("https://api.example.com/").respond(204)
    await create(UserFactory)

    async with session_factory() as session:
        assert await count(session) == 1
        assert (await client.post("/ask")).json() == 205
        await session.commit()
""",
                "right",
            ),
        ],
    ),
    Right(
        "what a guard found, allowed by its name",
        [
            *routes("""
@router.post("/ask")
async def ask(request: Request) -> int:
    async with request.state.session_factory() as session, httpx.AsyncClient() as client:
        await session.execute(text("UPDATE users SET is_active = false"))
        return (await client.get("https://api.example.com/")).status_code
"""),
            file_of_tests(
                """
@respx.mock
@pytest.mark.allow_guard("idle_in_transaction", "api.example.com")
@pytest.mark.allow_guard("uncommitted_changes", "POST /ask")
async def test_ask(client: AsyncClient) -> None:
    respx.get("https://api.example.com/").respond(204)

    assert (await client.post("/ask")).json() == 204
""",
                "right",
            ),
        ],
    ),
]
