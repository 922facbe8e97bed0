"""popylar: track an event in a thread. Its own import tracks another one."""

import popylar

popylar.track_event("UA-12345678-9", "import", "bench_import")
