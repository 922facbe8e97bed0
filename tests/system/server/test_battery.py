"""The battery: no input gives a 5xx, hangs, or stores what it should not, and every refusal is
Google's error body."""

import signal
from collections.abc import Callable, Iterator

import pytest

import bad_documents
import bad_json
import bad_requests
from battery import Battery, Case
from collectors import OPEN_COLLECTOR, run_collector
from shared import write_contract

pytestmark = pytest.mark.once


@pytest.fixture(scope="session")
def battery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Battery]:
    """One collector for all cases, which says nothing to anybody until it ends."""
    folder = tmp_path_factory.mktemp("battery")
    contract = write_contract(tmp_path_factory.mktemp("contract"))
    with run_collector(
        folder / "test.sqlite3", f"--contract={contract}", "--rate-limit=0", module=OPEN_COLLECTOR
    ) as running:
        found = Battery(running)
        yield found
        found.connection.close()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.stdout
        assert running.process.stdout.read() == ""


@pytest.mark.long(keep=6)
@pytest.mark.parametrize(
    "table",
    [*bad_json.TABLES, *bad_documents.TABLES, *bad_requests.TABLES],
    ids=lambda table: table.__name__,
)
def test_no_case_of_a_table_does_any_harm(
    battery: Battery, table: Callable[[], Iterator[Case]]
) -> None:
    assert battery.run(table()) > 20
