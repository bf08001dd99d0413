"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("meta", sa.Column("name", sa.String(64), primary_key=True), sa.Column("value", sa.Text, nullable=False))
    op.create_table(
        "config_entry",
        sa.Column("section", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(512), primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "secret",
        sa.Column("kind", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(256), primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "task",
        sa.Column("upid", sa.String(1024), primary_key=True),
        sa.Column("node", sa.String(64), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("pstart", sa.BigInteger, nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("worker_type", sa.String(64), nullable=False),
        sa.Column("worker_id", sa.String(512)),
        sa.Column("auth_id", sa.String(256), nullable=False),
        sa.Column("endtime", sa.BigInteger),
        sa.Column("status", sa.Text),
        sa.Column("abort_requested", sa.Integer, nullable=False, server_default="0"),
    )
    op.create_index("task_by_end", "task", ["endtime", "start"])
    op.create_table(
        "task_line",
        sa.Column("upid", sa.String(1024), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "job_state",
        sa.Column("kind", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("upid", sa.String(1024)),
        sa.Column("state", sa.Text),
        sa.Column("endtime", sa.BigInteger),
    )
    op.execute("INSERT INTO meta (name, value) VALUES ('config-version', '1')")
