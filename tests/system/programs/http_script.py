import sys
from pathlib import Path
from typing import ClassVar
from open_collector import OpenAccess
from plaintally.contract import Contract
from plaintally_server.server import run
from plaintally_server.http.request_head import Limits
from plaintally_server.settings import Settings

settings = Settings({"rxinfer": Contract()}, Path(sys.argv[1]), port=0, rate_limit=0)
run(settings, limits=Limits(*map(float, sys.argv[2:])), access=OpenAccess)
