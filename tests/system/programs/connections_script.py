import sys
from pathlib import Path
from plaintally.contract import Contract
from plaintally_server.server import run
from plaintally_server.http.request_head import Limits
from plaintally_server.settings import Settings

settings = Settings(
    {"rxinfer": Contract()}, Path(sys.argv[1]), port=0, rate_limit=0, trusted_proxies=["127.0.0.5"]
)
run(settings, limits=Limits(connections=8, connections_per_client=3))
