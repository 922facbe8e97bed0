import os, subprocess, sys, time
from loopback import loopback

CODE = """
from plaintally import Telemetry
endpoint = "http://collector.test:NUMBER/v1/documents"
Telemetry("hostpkg", endpoint=endpoint, allow_http=True).count_import()
"""
with loopback(address="10.9.0.1") as server:
    env = os.environ | PROXY
    code = CODE.replace("NUMBER", str(server.port))
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env={name: value.replace("PORT", str(server.port)) for name, value in env.items()},
    )
    print(*(request.split()[1].decode() for request in server.wait_for(1, seconds=8)))
