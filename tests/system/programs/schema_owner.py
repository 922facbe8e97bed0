import os
from pathlib import Path
from plaintally_server.store import schema

os.chown(FOLDER, 1, 1)
schema.migrate(Path(DATABASE))
print(*(file.stat().st_uid for file in Path(FOLDER).iterdir()))
os.chown(FOLDER, 0, 0)
