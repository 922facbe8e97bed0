"""The command `plaintally send-test`: it says why imports do not arrive, and asks only where they
would go."""

import datetime as dt
import ipaddress
import json
import ssl
import subprocess
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from collectors import run_collector
from hosts import MARKER, PACKAGE, Interpreter, MakeHost, make_host, wait_until_gone
from loopback import answer, error, loopback
from networks import run_in_network
from programs import program

MISSING = error(403, "Missing or insufficient permissions.", "PERMISSION_DENIED")


def tls(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def write_certificates_without_key_identifiers(folder: Path) -> ssl.SSLContext:
    """The context of a server at 127.0.0.1 whose authority, in `ca.pem`, and certificate lack the
    extensions."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
        for text in ("A company", "Its server")
    ]
    now = dt.datetime.now(dt.UTC)

    def sign(index: int, extension: x509.ExtensionType) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(names[index])
            .issuer_name(names[0])
            .public_key(keys[index].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(extension, critical=index == 0)
        )
        return builder.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    key = keys[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "ca.pem").write_bytes(sign(0, x509.BasicConstraints(ca=True, path_length=None)))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    (folder / "server.pem").write_bytes(key + sign(1, address))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


@pytest.mark.linux
def test_an_authority_without_key_identifiers_is_named(
    each_python: Interpreter, tmp_path: Path
) -> None:
    """Python 3.13 and newer reject it by default, earlier ones and curl do not; its counts are
    lost."""
    context = write_certificates_without_key_identifiers(tmp_path)
    trusted = {"SSL_CERT_FILE": str(tmp_path / "ca.pem"), MARKER: str(tmp_path)}
    with loopback(MISSING, tls=context) as server:
        host = make_host(each_python, tmp_path, endpoint=server.endpoint)
        done = host.plaintally("send-test", PACKAGE, env=trusted)
        curl = ["curl", "--silent", "--cacert", str(tmp_path / "ca.pem"), server.endpoint]
        assert (
            subprocess.run(curl, capture_output=True, check=True).stdout
            == MISSING.partition(b"\r\n\r\n")[2]
        )
        assert host.run(env=trusted).returncode == 0
        wait_until_gone(str(tmp_path))
        imports = [request for request in server.requests if b"documentId" in request]
    if each_python.version < (3, 13):
        assert (done.returncode, done.stderr, len(imports)) == (0, "", 1)
        assert done.stdout.startswith(f"{server.endpoint} can be reached")
    else:
        assert (done.returncode, done.stdout, imports) == (1, "", [])
        assert "Missing Authority Key Identifier" in done.stderr


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (answer(200, body=b"<html>Log in</html>"), "with status 200"),
        (answer(200, body=b'{"captive": true}'), "other than the collector"),
        (
            answer(302, "Location: http://portal.example/"),
            "if this network has a login page, log in",
        ),
        (answer(404, body=b"nothing here"), "with status 404"),
        (answer(200, body=b'{"request": {}}'), "other than the collector"),
        (answer(200, body=b'{"receipt": {}}'), "other than the collector"),
        (
            error(404, "The database (default) does not exist for project p.", "NOT_FOUND"),
            "does not exist for project",
        ),
        (
            error(403, "Cloud Firestore API is disabled.", "PERMISSION_DENIED"),
            "Cloud Firestore API is disabled",
        ),
        (error(429, "Too many requests.", "RESOURCE_EXHAUSTED"), "Too many requests"),
        (error(503, "The database is being moved."), "The database is being moved"),
        (b"220 mail.example.org ESMTP\r\n\r\n", "the server speaks no HTTP"),
    ],
)
def test_what_is_in_the_way_is_named(host: MakeHost, given: bytes, reason: str) -> None:
    with loopback(given) as server:
        done = host(endpoint=server.endpoint).plaintally("send-test", PACKAGE)
        [request] = server.requests
    assert (done.returncode, done.stdout) == (1, "")
    assert reason in done.stderr
    head = (
        f"GET /v1/projects/test/databases/(default)/documents/using_{PACKAGE}/send-test "
        "HTTP/1.1\r\n"
    )
    assert request.startswith(head.encode())
    assert request.endswith(b"Content-Length: 0\r\nConnection: close\r\n\r\n")


def test_a_certificate_that_nobody_here_trusts(host: MakeHost) -> None:
    with loopback(tls=tls(trustme.CA().issue_cert("127.0.0.1"))) as server:
        done = host(endpoint=server.endpoint).plaintally("send-test", PACKAGE)
    assert "SSL_CERT_FILE" in done.stderr
    assert done.returncode == 1


def test_an_address_where_nobody_listens(host: MakeHost) -> None:
    with loopback() as server:
        pass
    done = host(endpoint=server.endpoint).plaintally("send-test", PACKAGE)
    assert "Connection refused" in done.stderr
    assert done.returncode == 1


@pytest.mark.linux
def test_a_name_server_that_does_not_answer(tmp_path: Path) -> None:
    code = program("send_test_package")
    done = run_in_network(f"import os\nos.chdir({str(tmp_path)!r})\n{code}", tmp_path)
    assert "no name server answered" in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize("refusal", [{"PLAINTALLY": "off"}, {"DO_NOT_TRACK": "1"}, {"CI": "true"}])
def test_after_opting_out_nothing_is_tried(host: MakeHost, refusal: dict[str, str]) -> None:
    with loopback(MISSING) as server:
        made = host(endpoint=server.endpoint)
        done = made.plaintally("send-test", PACKAGE, env=refusal)
        assert done.returncode == 1
        assert "nothing was sent" in done.stderr
        made.prefer(f"[packages.{PACKAGE}]\nendpoint = 'none'\n")
        assert "has no address to test" in made.plaintally("send-test", PACKAGE).stderr
        assert server.connections == 0


def test_the_test_has_the_senders_environment_and_trust(host: MakeHost, tmp_path: Path) -> None:
    """A trust store that is injected where `site` runs is not the sender's."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with loopback(MISSING, tls=tls(authority.issue_cert("127.0.0.1"))) as server:
        made = host(endpoint=server.endpoint)
        code = "import ssl; make = ssl.create_default_context\n"
        code += (
            "ssl.create_default_context = lambda: "
            f"make(cafile={json.dumps(str(tmp_path / 'ca.pem'))})\n"
        )
        (made.folder / "sitecustomize.py").write_text(code)
        assert made.plaintally("send-test", PACKAGE).returncode == 1
        assert (
            made.plaintally(
                "send-test", PACKAGE, env={"SSL_CERT_FILE": str(tmp_path / "ca.pem")}
            ).returncode
            == 0
        )


@pytest.mark.parametrize(
    "given",
    [
        MISSING,
        error(404, "There is no such document.", "NOT_FOUND"),
        error(
            404,
            'Document "projects/p/databases/(default)/documents/using_x/send-test" not found.',
            "NOT_FOUND",
        ),
    ],
)
def test_a_missing_document_is_an_answer_of_a_collector(host: MakeHost, given: bytes) -> None:
    with loopback(given) as server:
        assert host(endpoint=server.endpoint).plaintally("send-test", PACKAGE).returncode == 0


def test_a_collector_at_another_path_is_named(host: MakeHost, tmp_path: Path) -> None:
    with run_collector(tmp_path / "collector.sqlite3", packages=(PACKAGE,)) as collector:
        done = host(endpoint=f"http://127.0.0.1:{collector.port}/v1/elsewhere").plaintally(
            "send-test", PACKAGE
        )
    assert done.returncode == 1
    assert "There is no such collection" in done.stderr


@pytest.mark.parametrize("package", [PACKAGE, "another"])
def test_a_collector_is_recognised(host: MakeHost, tmp_path: Path, package: str) -> None:
    with run_collector(tmp_path / "collector.sqlite3", packages=(package,)) as collector:
        endpoint = f"http://127.0.0.1:{collector.port}/v1/projects/p/databases/(default)/documents"
        done = host(endpoint=endpoint).plaintally("send-test", PACKAGE)
    assert (done.returncode, done.stderr) == (0, "")
