"""TLS spoken by the collector itself."""

import http.client
import json
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from collectors import ROOT, count, run_collector, run_server
from plaintally_server.diagnosis import check_certificate


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


def test_the_doctor_tells_when_a_certificate_ends(tmp_path: Path) -> None:
    path, now = tmp_path / "both.pem", datetime.now(UTC).replace(microsecond=0)
    for left, state, says in (
        (timedelta(days=15), "ok", "with"),
        (timedelta(days=13), "warning", "ends on"),
        (timedelta(days=-1), "failed", "ended on"),
    ):
        certificate = trustme.CA().issue_cert("localhost", not_after=now + left)
        certificate.private_key_and_cert_chain_pem.write_to_path(path)
        finding = check_certificate(path, path, now)
        assert finding.state == state
        assert says in finding.says
        assert f"{now + left:%Y-%m-%d}" in finding.says


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
