"""Alembic migrations of the schemas `archive` and `context`, run as the role ost_owner."""
