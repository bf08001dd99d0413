"""Alembic environment: works on the connection that `config.database` hands over."""

from alembic import context

from platevault.config.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
