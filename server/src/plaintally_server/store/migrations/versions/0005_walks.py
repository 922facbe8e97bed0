"""Of a walk through a Firestore project that came to its end, it is kept when it had begun.

What was there before was seen, so that a later walk does not count again what is over its time by then and gone.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the times."""
    for name in ("begun_at", "seen_until"):
        op.add_column("pulls", sa.Column(name, sa.BigInteger()))
