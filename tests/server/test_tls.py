"""TLS spoken by the collector itself."""

import http.client
import json
import ssl
from pathlib import Path

import pytest
import trustme

from collectors import ROOT, count, run_collector, run_server


def test_a_count_arrives_by_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    options = ["--tls-certificate", str(tmp_path / "both.pem"), "--tls-key", str(tmp_path / "both.pem")]
    with run_collector(tmp_path / "a.sqlite3", *options) as collector:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        connection = http.client.HTTPSConnection("localhost", collector.port, timeout=30, context=context)
        connection.request("POST", f"{ROOT}/using_rxinfer", json.dumps(count()))
        response = connection.getresponse()
        assert response.status == 200
        assert response.getheader("strict-transport-security") == "max-age=31536000"
        connection.close()
        doctor = run_server(tmp_path, "doctor", "--package=a", *options, "--port", str(collector.port))
        assert "it answers at" in doctor.stdout
    assert collector.store.total("rxinfer") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tls-key", "key.pem"], "TLS needs both --tls-certificate and --tls-key"),
        (["--tls-certificate", "no.pem", "--tls-key", "no.pem"], "with no.pem and no.pem (No such file or directory)"),
        (["--tls-certificate", "one.pem", "--tls-key", "other.pem"], "(they do not fit)"),
    ],
)
def test_certificates_that_cannot_be_used(tmp_path: Path, options: list[str], message: str) -> None:
    for name in ("one", "other"):
        trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / f"{name}.pem")
    done = run_server(tmp_path, "serve", "--package", "a", "--port", "0", *options)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
