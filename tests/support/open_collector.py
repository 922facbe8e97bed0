"""A program: a collector that also takes documents of any fields in some collections, from
everyone.

What Firestore's clients rely on can only be tested with documents that no contract declares.
Everything else of this collector, its options included, is that of `plaintally-server`.
"""

from functools import partial

from plaintally_server import server
from plaintally_server.auth.permissions import Access
from plaintally_server.cli.main import main
from plaintally_server.firestore.documents import Name
from plaintally_server.firestore.field_paths import Fields
from plaintally_server.firestore.size import check_size
from plaintally_server.model import Admitted

OPEN = ("any", "batch", "cities", "notes", "numbers", "pages", "people", "towns")
"""The collections that take documents of any fields."""


class OpenAccess(Access):
    """Admits any document in the open collections, and lets everyone read and delete it."""

    def opens(self, collection: str) -> bool:
        return collection in OPEN or super().opens(collection)

    def sees(self, collection: str, fields: Fields) -> bool:
        return collection in OPEN or super().sees(collection, fields)

    def check_any(self) -> None:
        """Leave it to the collections."""

    def check_collection(self, collection: str) -> None:
        if collection not in OPEN:
            super().check_collection(collection)

    def admit(self, name: Name, fields: Fields, *, current: Fields | None = None) -> Admitted:
        if name.collection not in OPEN:
            return super().admit(name, fields, current=current)
        check_size(name, fields)
        return Admitted(fields, name.collection)


if __name__ == "__main__":
    server.run = partial(server.run, access=OpenAccess)
    main()
