"""What Alembic runs a migration in: the connection, and the transaction, that `migrate.py` hands over.

Not a module to import.
"""

from alembic import context

from tradewind.business.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
