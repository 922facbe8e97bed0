import os, pathlib, sys

pathlib.Path("pkg_of_test.py").write_text(
    "from plaintally import Telemetry\nTelemetry('pkg_of_test', endpoint='https://collector.example/v1/documents')"
)
os.environ["PYTHONPATH"] = os.getcwd()
os.execv(sys.executable, [sys.executable, "-m", "plaintally", "send-test", "pkg_of_test"])
