"""Slow connections: however many there are, others are answered, and a request that is being worked
on is finished."""

from plaintally_server.http.connection_limits import ConnectionTable


class Waiting:
    """A connection as the table sees it."""

    def __init__(self) -> None:
        self.is_evicted = False

    def evict(self) -> None:
        self.is_evicted = True


def test_whoever_begins_a_request_again_has_not_waited_long() -> None:
    table = ConnectionTable(total=2, per_client=2, unread_bytes=9)
    one = Waiting()
    other = Waiting()
    for connection in (one, other):
        assert table.open(connection)
    table.wait(one)
    assert table.open(Waiting())
    assert (one.is_evicted, other.is_evicted) == (False, True)


def test_the_table_forgets_clients_that_hold_nothing() -> None:
    table = ConnectionTable(total=9, per_client=1, unread_bytes=9)
    for number in range(100):
        connection = Waiting()
        table.open(connection)
        assert table.assign(connection, f"10.0.0.{number}")
        table.work(connection)
        table.wait(connection)
        table.owe(connection, 9)
        table.close(connection)
        table.close(connection)
    assert vars(table) == vars(ConnectionTable(total=9, per_client=1, unread_bytes=9))


def test_the_slowest_reader_of_the_client_that_reads_least_ends() -> None:
    table = ConnectionTable(total=9, per_client=9, unread_bytes=10)
    many = [Waiting() for _ in range(4)]
    few = Waiting()
    for connection in (few, *many):
        table.open(connection)
        table.assign(connection, "few" if connection is few else "many")
        table.owe(connection, 3)
    assert [one.is_evicted for one in (few, *many)] == [False, True, True, False, False]
