"""What Alembic runs: migrations over the connection that `ost_vo.store.upgrade` hands in."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table="alembic_version", version_table_schema="archive")
with context.begin_transaction():
    context.run_migrations()
