"""As `alembic init` writes it, with the URL of the application."""

from logging.config import fileConfig

from alembic import context
from app.db import engine
from app.models import SQLModel
from sqlalchemy import create_engine, pool

config = context.config
if config.config_file_name is not None:
    fileConfig(config.config_file_name)

target_metadata = SQLModel.metadata

connectable = create_engine(engine.url, poolclass=pool.NullPool)
with connectable.connect() as connection:
    context.configure(connection=connection, target_metadata=target_metadata)
    with context.begin_transaction():
        context.run_migrations()
