"""Migrations of the state database, run by Alembic at every start; a current database costs one look."""
