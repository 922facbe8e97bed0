"""Tokens, logins and the audit log; the caller has begun a transaction."""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import Connection, delete, select, update

from plaintally_server.exceptions import CommandError
from plaintally_server.model import Deed, StoredLogin, Token
from plaintally_server.store.tables import audit, logins, tokens
from plaintally_server.store.timestamps import from_us, to_us

_ALL = "*"


def read_tokens(connection: Connection) -> Sequence[Token]:
    """See `TokenStore.tokens`."""
    return [
        Token(
            row.name,
            bytes(row.hash),
            None if row.packages == _ALL else frozenset(row.packages.split()),
            from_us(row.created_at),
            row.last_used_day,
            None if row.revoked_at is None else from_us(row.revoked_at),
        )
        for row in connection.execute(select(tokens).order_by(tokens.c.name))
    ]


def add_token(
    connection: Connection,
    name: str,
    token_hash: bytes,
    packages: frozenset[str] | None,
    *,
    actor: str,
    at: datetime,
) -> None:
    """Keep a token.

    Raises:
        CommandError: there is or was one of this name.
    """
    if connection.execute(select(tokens.c.name).where(tokens.c.name == name)).first() is not None:
        raise CommandError(f"there is or was a token {name} already; choose another name")
    scope = _ALL if packages is None else " ".join(sorted(packages))
    connection.execute(
        tokens.insert().values(name=name, hash=token_hash, packages=scope, created_at=to_us(at))
    )
    note(
        connection,
        Deed(
            at, actor, "create token", f"{name} for {'all packages' if packages is None else scope}"
        ),
    )


def revoke_token(connection: Connection, name: str, *, actor: str, at: datetime) -> None:
    """Have a token open nothing any more.

    Raises:
        CommandError: there is none of this name that does.
    """
    held = (tokens.c.name == name, tokens.c.revoked_at.is_(None))
    if not connection.execute(update(tokens).where(*held).values(revoked_at=to_us(at))).rowcount:
        raise CommandError(
            f"there is no token {name} that opens anything; see `plaintally-server token list`"
        )
    connection.execute(delete(logins).where(logins.c.token == name))
    note(connection, Deed(at, actor, "revoke token", name))


def add_login(connection: Connection, login: StoredLogin) -> None:
    """See `LoginStore.add_login`."""
    row = {**login._asdict(), "ends_at": to_us(login.ends_at)}
    connection.execute(logins.insert().values(row))


def find_login(connection: Connection, login_hash: bytes) -> StoredLogin | None:
    """See `LoginStore.find_login`."""
    row = connection.execute(select(logins).where(logins.c.hash == login_hash)).one_or_none()
    return (
        None
        if row is None
        else StoredLogin(bytes(row.hash), row.token, bytes(row.token_mac), from_us(row.ends_at))
    )


def end_login(connection: Connection, login_hash: bytes) -> None:
    """See `LoginStore.end_login`."""
    connection.execute(delete(logins).where(logins.c.hash == login_hash))


def drop_logins(connection: Connection, *, ended_by: datetime | None = None) -> None:
    """Delete the logins that have ended by a moment; by default all."""
    ended = () if ended_by is None else (logins.c.ends_at <= to_us(ended_by),)
    connection.execute(delete(logins).where(*ended))


def note_used(connection: Connection, names: Sequence[str], day: date) -> None:
    """See `TokenStore.note_used`."""
    connection.execute(update(tokens).where(tokens.c.name.in_(names)).values(last_used_day=day))


def note(connection: Connection, deed: Deed) -> None:
    """Write down what a maintainer did."""
    row = deed._replace(at=to_us(deed.at))._asdict()  # type: ignore[arg-type]  # as the table has it
    connection.execute(audit.insert().values(row))


def read_audit(connection: Connection, *, last: int) -> Sequence[Deed]:
    """What was done last, the newest first."""
    found = connection.execute(select(audit).order_by(audit.c.id.desc()).limit(last))
    return [Deed(from_us(row.at), row.actor, row.action, row.detail) for row in found]
