"""The proxies whose configuration is shipped, in processes of their own, before whatever listens on
a port."""

import contextlib
import http.client
import os
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from collectors import Answer
from hosts import ROOT
from ports import free_port
from waiting import PATIENCE_S

CLIENT = "127.0.0.77"
CADDYFILE = ROOT / "deploy/Caddyfile"
NGINX_CONF = ROOT / "deploy/nginx.conf"


@dataclass(frozen=True)
class Proxy:
    """A proxy; `folder` has everything that it writes, its output included."""

    port: int
    folder: Path
    trust: ssl.SSLContext
    pid: int

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] = {},
        source: str = CLIENT,
    ) -> Answer:
        """One request by TLS, from an address that is only the client's."""
        connection = http.client.HTTPSConnection(
            "localhost", self.port, timeout=30, context=self.trust, source_address=(source, 0)
        )
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return Answer(response.status, response.read(), dict(response.getheaders()))

    def connect(self, content: bytes, source: str = CLIENT) -> ssl.SSLSocket:
        """A connection by TLS on which something was sent, and which stays open."""
        plain = socket.create_connection(("127.0.0.1", self.port), 30, (source, 0))
        secure = self.trust.wrap_socket(plain, server_hostname="localhost")
        secure.sendall(content)
        return secure

    def send(self, content: bytes) -> bytes:
        """Bytes that are no TLS, and what is answered."""
        with socket.create_connection(("127.0.0.1", self.port), 30, (CLIENT, 0)) as connection:
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionError):
                return connection.recv(1000)
            return b""


@contextmanager
def run_caddy(folder: Path, *collectors: int) -> Iterator[Proxy]:
    """Caddy with the file that is shipped, on free ports, with certificates of its own making."""
    port = free_port()
    plain_port = free_port()
    changes = (
        f"\n\tadmin off\n\tskip_install_trust\n\thttps_port {port}\n\thttp_port "
        f"{plain_port}\n\tlog {{"
    )
    text = CADDYFILE.read_text().replace("\n\tlog {", changes, 1)
    (folder / "Caddyfile").write_text(text)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PLAINTALLY_SITE": "localhost",
        "PLAINTALLY_COLLECTORS": " ".join(f"127.0.0.1:{collector}" for collector in collectors),
    }
    with _run(["caddy", "run", "--config", "Caddyfile"], folder, environment) as process:
        trust = ssl.create_default_context()
        _wait_for(port, trust, folder / ".local/share/caddy/pki/authorities/local/root.crt")
        yield Proxy(port, folder, trust, process.pid)


@contextmanager
def run_nginx(folder: Path, *collectors: int) -> Iterator[Proxy]:
    """Nginx with the file that is shipped, on free ports."""
    port = free_port()
    trust = ssl.create_default_context()
    configure_nginx(folder, trust, port=port, plain_port=free_port(), collectors=collectors)
    command = ["nginx", "-p", str(folder), "-c", "main.conf", "-e", "stderr"]
    with _run(command, folder, {"PATH": os.environ["PATH"]}) as process:
        _wait_for(port, trust, folder / "both.pem")
        yield Proxy(port, folder, trust, process.pid)


def configure_nginx(
    folder: Path, trust: ssl.SSLContext, *, port: int, plain_port: int, collectors: tuple[int, ...]
) -> None:
    """The shipped file with other ports and a certificate that there is, and one that includes
    it."""
    authority = trustme.CA()
    authority.configure_trust(trust)
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(
        folder / "both.pem"
    )
    text = re.sub(
        r"ssl_certificate(\w*) .*;",
        rf"ssl_certificate\1 {folder}/both.pem;",
        NGINX_CONF.read_text(),
    )
    text = re.sub(r"\n *listen \[::].*", "", text).replace("listen 443", f"listen 127.0.0.1:{port}")
    text = text.replace("listen 80;", f"listen 127.0.0.1:{plain_port};")
    servers = " ".join(f"server 127.0.0.1:{collector};" for collector in collectors)
    (folder / "shipped.conf").write_text(text.replace("server 127.0.0.1:8080;", servers))
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "main.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr notice; "
        f"events {{ worker_connections 8192; }} http {{ {paths} include {folder}/shipped.conf; }}"
    )


@contextmanager
def _run(
    command: list[str], folder: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    with (
        (folder / "output").open("wb") as output,
        subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=output
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def _wait_for(port: int, trust: ssl.SSLContext, authority: Path) -> None:
    """Wait until TLS is spoken with a certificate of this authority, and trust it."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):  # which an error of TLS is, too
            trust.load_verify_locations(authority)
            with socket.create_connection(("127.0.0.1", port), 5) as plain:
                trust.wrap_socket(plain, server_hostname="localhost").close()
            return
        time.sleep(0.02)
    raise TimeoutError(f"nothing speaks TLS on {port}")
