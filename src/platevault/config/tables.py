"""Tables of the state database (SQLAlchemy Core). A change here needs a migration beside it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)
"""`config-version`: raised by every change of configuration, so that any process notices; `instance-id`."""

config_entry = Table(
    "config_entry",
    metadata,
    Column("section", String(64), primary_key=True),
    Column("id", String(512), primary_key=True),
    Column("body", Text, nullable=False),
)
"""One object of configuration: canonical JSON of the fields that are set."""

secret = Table(
    "secret",
    metadata,
    Column("kind", String(64), primary_key=True),
    Column("id", String(256), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
"""Password hashes, token digests, signing keys: never part of a digest or an answer."""

task = Table(
    "task",
    metadata,
    Column("upid", String(1024), primary_key=True),
    Column("node", String(64), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("pstart", BigInteger, nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("worker_type", String(64), nullable=False),
    Column("worker_id", String(512)),
    Column("auth_id", String(256), nullable=False),
    Column("endtime", BigInteger),
    Column("status", Text),
    Column("abort_requested", Integer, nullable=False, server_default="0"),
)
Index("task_by_end", task.c.endtime, task.c.start)

task_line = Table(
    "task_line",
    metadata,
    Column("upid", String(1024), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("text", Text, nullable=False),
    sqlite_with_rowid=False,
)

job_state = Table(
    "job_state",
    metadata,
    Column("kind", String(64), primary_key=True),
    Column("id", String(128), primary_key=True),
    Column("upid", String(1024)),
    Column("state", Text),
    Column("endtime", BigInteger),
)
"""Last run of a job: garbage collection per datastore, and later every kind of job."""
