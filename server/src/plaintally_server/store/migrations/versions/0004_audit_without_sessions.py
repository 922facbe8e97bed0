"""The audit names no session: whoever deletes one is told that its ID is kept no longer.

What the rows held before is noted as to be erased, which the next start of a collector does.
"""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Take the IDs out."""
    op.execute(
        "INSERT INTO erasures (due_at) SELECT max(at) FROM audit WHERE action = 'refuse to delete' HAVING count(*) > 0"
    )
    op.execute("UPDATE audit SET detail = 'a session' WHERE action = 'refuse to delete'")
