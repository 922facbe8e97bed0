"""Servers on loopback in every mode, in a process of their own, each request kept as a file.

`python -m host.servers FOLDER CERTIFICATE MODES NAME...` listens on a port for each mode and name,
so that it is known who sent what, prints the ports as one line of JSON, `{mode: {name: port}}`, and
serves until its standard input ends. A request with its body, chunks joined, becomes
`FOLDER/mode/name/number`, where the number counts from 0.
"""

import asyncio
import itertools
import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import trustme

HTTP_MODES = ("healthy", "tls", "slow", "silent")
MODES = (*HTTP_MODES, "refused", "unresolvable", "unanswered name")
NAMES = {"unresolvable": "unknown.test", "unanswered name": "silent.test"}
SLOW_S = 1.0
CERTIFICATE = "server.pem"
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
NAME_SERVER = "127.0.0.53"
# Whatever the systems look for in an answer.
BODY = json.dumps(
    {
        "status": 1,
        "version": "1.0.0",
        "bad_versions": [],
        "data": {"add_breadcrumb": {"success": True}},
    }
)
HEAD = (
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Backend-Server: "
    "bench\r\nContent-Length: "
)


@contextmanager
def running(
    folder: Path, certificate: Path, names: list[str], *, modes: Sequence[str] = MODES
) -> Iterator[dict[str, dict[str, str]]]:
    """Run the servers; the addresses by mode and name."""
    command = [
        sys.executable,
        "-m",
        "host.servers",
        str(folder),
        str(certificate),
        ",".join(modes),
        *names,
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        ports = json.loads(process.stdout.readline())
        try:
            yield {
                mode: {name: _url(mode, port) for name, port in found.items()}
                for mode, found in ports.items()
            }
        finally:
            process.stdin.close()


def requests(folder: Path, mode: str, name: str, *, since: int = 0) -> list[bytes]:
    """What was received, in order, without the first `since` of them."""
    paths = sorted((folder / mode / name).glob("*[0-9]"), key=lambda path: int(path.name))
    return [path.read_bytes() for path in paths[since:]]


def certify(folder: Path) -> Path:
    """Write a certificate for loopback, and return a file with all trusted authorities."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(folder / CERTIFICATE)
    certificates = folder / "certificates.pem"
    certificates.write_bytes(SYSTEM_CERTIFICATES.read_bytes() + authority.cert_pem.bytes())
    return certificates


def _url(mode: str, port: int) -> str:
    return f"{'https' if mode == 'tls' else 'http'}://{NAMES.get(mode, '127.0.0.1')}:{port}"


class _Server:
    def __init__(self, mode: str, folder: Path) -> None:
        self.mode = mode
        self.folder = folder
        self.numbers = itertools.count()
        folder.mkdir(parents=True, exist_ok=True)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while request := await _read(reader):
                self._keep(request)
                if self.mode == "silent":
                    await reader.read()
                    break
                await asyncio.sleep(SLOW_S if self.mode == "slow" else 0)
                body = "" if request.startswith(b"HEAD ") else BODY
                writer.write(f"{HEAD}{len(body)}\r\n\r\n{body}".encode())
                await writer.drain()
        writer.close()

    def _keep(self, request: bytes) -> None:
        path = self.folder / str(next(self.numbers))
        partial = path.with_suffix(".part")
        partial.write_bytes(request)
        partial.rename(path)


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    headers = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    if b"chunked" not in headers.get(b"transfer-encoding", b""):
        return head + await reader.readexactly(int(headers.get(b"content-length", 0)))
    body = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return head + body


class _NameServer(asyncio.DatagramProtocol):
    """Knows no name, and does not answer at all for one."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        if b"silent" not in data:
            question = data[12 : data.index(b"\0", 12) + 5]
            self.transport.sendto(data[:2] + b"\x81\x83\0\1\0\0\0\0\0\0" + question, addr)  # type: ignore[attr-defined]


async def _serve(folder: Path, certificate: str, modes: list[str], names: list[str]) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    ports: dict[str, dict[str, int]] = {mode: {} for mode in modes}
    kept = []
    for mode, name in itertools.product(modes, names):
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        ports[mode][name] = listener.getsockname()[1]
        kept.append(listener)
        if mode in HTTP_MODES:  # a port that nobody listens on refuses
            server = _Server(mode, folder / mode / name)
            await asyncio.start_server(
                server, sock=listener, backlog=256, ssl=context if mode == "tls" else None
            )
    if not NAMES.keys().isdisjoint(modes):
        address = (NAME_SERVER, 53)
        await asyncio.get_running_loop().create_datagram_endpoint(_NameServer, local_addr=address)
    print(json.dumps(ports), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), sys.argv[2], sys.argv[3].split(","), sys.argv[4:]))
