"""The files of an export, in a directory or a bucket.

A file is there whole or not at all: in a directory it gets its name when it is complete, in a
bucket it is put at once.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from glob import escape
from itertools import islice
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

from plaintally_server.exceptions import CommandError
from plaintally_server.export.layout import FILE, STRUCK, Partition, Struck, parse_path
from plaintally_server.file_errors import remedy
from plaintally_server.reports.rows import COLUMNS, Row

T = TypeVar("T")
_ROWS = 100_000  # of a row group, which is converted at once
_AT_ONCE = 16  # requests to a bucket
_STAMP = b"plaintally"
_UNFINISHED = ".unfinished"
_TYPES = {
    "string": pa.string(),
    "time": pa.timestamp("us", tz="UTC"),
    "integer": pa.int64(),
    "number": pa.float64(),
    "bucket": pa.int16(),
    "json": pa.string(),
}
SCHEMAS: Mapping[str, pa.Schema] = {
    table: pa.schema([(name, _TYPES[kind]) for name, kind in columns.items()])
    for table, columns in COLUMNS.items()
}
"""By table, its columns as they are in the files."""
_STRUCK = pa.schema(
    [("package", pa.string()), ("first_at", _TYPES["time"]), ("until", _TYPES["time"])]
)
_PARTITIONING = ds.partitioning(
    pa.schema([("package", pa.string()), ("day", pa.date32())]), flavor="hive"
)


class Export:
    """An export that is at a place, or is to be.

    Args:
        place: a directory, or the URI of one such as `s3://bucket/telemetry`.

    Raises:
        CommandError: there is no such place.
    """

    def __init__(self, place: str) -> None:
        self.place = re.sub(r"//[^/@]*@", "//", place)  # for messages, without a secret
        with _naming(self.place, "open"):
            if "://" in place:
                self._files, self._root = fs.FileSystem.from_uri(place)
            else:
                self._files = fs.LocalFileSystem()
                self._root = Path(place).absolute().as_posix()
        self._is_local = isinstance(self._files, fs.LocalFileSystem)

    def stamps(self) -> Mapping[Partition, str | None]:
        """Return the partitions with the stamps of their files; None if a file is unreadable."""
        with _naming(self.place, "read"), ThreadPoolExecutor(_AT_ONCE) as pool:
            partitions = self._partitions()
            return dict(zip(partitions, pool.map(self._stamp, partitions), strict=True))

    def write(self, partition: Partition, rows: Iterator[Row], *, stamp: str) -> int:
        """Write the file of a partition, in place of an earlier one; the number of its rows."""
        return self._put(
            partition.path, lambda output: _write_rows(output, partition.table, rows, stamp=stamp)
        )

    def _put(self, path: str, write: Callable[[object], T]) -> T:
        """Have a file of the export be what is written, in place of an earlier one."""
        target = f"{self._root}/{path}"
        with _naming(self.place, "write"):
            if not self._is_local:
                buffer = pa.BufferOutputStream()
                done = write(buffer)
                with self._files.open_output_stream(target) as output:
                    output.write(buffer.getvalue())
                return done
            self._make_directories(Path(target).parent)
            unfinished = f"{target.removesuffix(FILE)}.{uuid4()}{_UNFINISHED}"
            try:
                with self._files.open_output_stream(unfinished) as output:
                    done = write(output)
                self._files.move(unfinished, target)
            except BaseException:
                Path(unfinished).unlink(missing_ok=True)
                raise
            return done

    def struck(self) -> Sequence[Struck]:
        """The windows that reports leave out."""
        table = self.struck_table()
        return [(row["package"], row["first_at"], row["until"]) for row in table.to_pylist()]

    def struck_table(self) -> pa.Table:
        """The same as a table."""
        with _naming(self.place, "read"):
            try:
                return pq.read_table(
                    f"{self._root}/{STRUCK}", filesystem=self._files, schema=_STRUCK
                )
            except FileNotFoundError:
                return _STRUCK.empty_table()

    def write_struck(self, windows: Sequence[Struck]) -> None:
        """Have these be the windows."""
        columns = zip(*windows, strict=True) if windows else ((), (), ())
        arrays = [
            pa.array(column, field.type) for column, field in zip(columns, _STRUCK, strict=True)
        ]
        self._put(STRUCK, lambda output: pq.write_table(pa.table(arrays, schema=_STRUCK), output))

    def remove(self, partition: Partition) -> None:
        """Remove the file of a partition."""
        with _naming(self.place, "write"):
            self._files.delete_dir(f"{self._root}/{partition.path.removesuffix(f'/{FILE}')}")

    def sweep(self) -> None:
        """Remove what was left unfinished by an export that was interrupted."""
        with _naming(self.place, "write"):
            for info in self._list() if self._is_local else ():
                if info.path.endswith(_UNFINISHED):
                    self._files.delete_file(info.path)

    def dataset(self, table: str) -> ds.Dataset | pa.Table:
        """All rows of a table, with their package and day."""
        fields = [*SCHEMAS[table], *_PARTITIONING.schema]
        with _naming(self.place, "read"):
            paths = [f"{self._root}/{one.path}" for one in self._partitions() if one.table == table]
            if not paths:
                return pa.schema(fields).empty_table()
            return ds.dataset(
                paths,
                schema=pa.schema(fields),
                format="parquet",
                filesystem=self._files,
                partitioning=_PARTITIONING,
                partition_base_dir=f"{self._root}/{table}",
            )

    def pattern(self, table: str) -> str | None:
        """Return a pattern of the paths of a table's files; None in a bucket or without files."""
        with _naming(self.place, "read"):
            if not self._is_local or not any(one.table == table for one in self._partitions()):
                return None
            return f"{escape(self._root)}/{table}/*/*/{FILE}"

    def _partitions(self) -> list[Partition]:
        found = (parse_path(info.path.removeprefix(f"{self._root}/")) for info in self._list())
        return sorted(partition for partition in found if partition)

    def _list(self) -> Iterable[fs.FileInfo]:
        infos: list[fs.FileInfo] = self._files.get_file_info(
            fs.FileSelector(self._root, recursive=True, allow_not_found=True)
        )
        return [info for info in infos if info.type == fs.FileType.File]

    def _stamp(self, partition: Partition) -> str | None:
        try:
            found = pq.read_metadata(
                f"{self._root}/{partition.path}", filesystem=self._files
            ).metadata
        except pa.ArrowInvalid:  # the machine stopped before it was on the disk
            return None
        return bytes((found or {}).get(_STAMP, b"")).decode()

    def _make_directories(self, path: Path) -> None:
        if not Path(self._root).exists():
            os.makedirs(self._root, mode=0o700)  # noqa: PTH103  # pathlib gives the mode to the last only, as this does
        path.mkdir(parents=True, exist_ok=True)


def _write_rows(output: object, table: str, rows: Iterator[Row], *, stamp: str) -> int:
    schema = SCHEMAS[table].with_metadata({_STAMP: stamp})
    repeated = [name for name, kind in COLUMNS[table].items() if kind == "string" and name != "id"]
    count = 0
    with pq.ParquetWriter(output, schema, compression="zstd", use_dictionary=repeated) as writer:
        while chunk := list(islice(rows, _ROWS)):
            columns = zip(*chunk, strict=True)
            arrays = [
                pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            count += len(chunk)
    return count


@contextmanager
def _naming(place: str, verb: str) -> Iterator[None]:
    """Say in one sentence where the disk or the bucket failed."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        number = getattr(error, "errno", None)
        reason = os.strerror(number) if number else str(error).partition(". Detail")[0]
        path = Path(place) / FILE if Path(place).is_dir() else Path(place)
        advice = remedy(error, path, otherwise="name another place, or try again")
        raise CommandError(f"cannot {verb} {place} ({reason}); {advice}") from error
