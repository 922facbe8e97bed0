import sys
import time
from pathlib import Path
from plaintally_server.cli import main
from plaintally_server.ingest.imports import hash_import
from plaintally_server.store import sqlite, writer
from plaintally_server.store import reader

write = sqlite._File.write
read_all = reader.SQLReader.read_all
changed_days = reader.SQLReader.changed_days


def fail(self, groups):
    if any(one.name == hash_import("rxinfer", "fatal") for group in groups for one in group):
        raise SystemExit
    return write(self, groups)


def hang(self, names, work):
    if any(name.document == "hang" for name in names):
        time.sleep(3600)
    return read_all(self, names, work)


def hang_if_told(self, last):
    if Path("hang").exists():
        time.sleep(3600)
    return changed_days(self, last)


sqlite._File.write = fail
reader.SQLReader.read_all = hang
reader.SQLReader.changed_days = hang_if_told
writer.LIMIT_S = 2
sys.argv = sys.argv[3:]
main.main()
