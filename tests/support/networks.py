"""A network of its own for one process, with addresses that never answer."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

HERE = "10.9.0.1"
"""The address of the machine; every other address outside loopback is a black hole, for IPv6,
too."""
_SET_UP = """
set -e
ip link set lo up
ip link add hole type veth peer name pit
ip link set hole arp off
ip addr add 10.9.0.1/24 dev hole
ip addr add 2001:db8::1/64 dev hole nodad
ip link set hole up
ip link set pit up
ip route add default dev hole
mount --bind "$1" /etc/hosts
mount --bind "$2" /etc/resolv.conf
shift 2
exec "$@"
"""
_NAMESPACES = ("unshare", "--user", "--map-root-user", "--net", "--mount")


def run_in_network(
    code: str,
    folder: Path,
    *,
    names: Mapping[str, tuple[str, ...]] = {},
    env: Mapping[str, str] = {},
    python: str | Path = sys.executable,
) -> subprocess.CompletedProcess[str]:
    """Run Python where nothing but this machine answers, no name server either, and `names` have
    these addresses.

    The modules of the tests can be imported there.
    """
    hosts = folder / "hosts"
    servers = folder / "resolv.conf"
    hosts.write_text(
        "".join(f"{address} {name}\n" for name, addresses in names.items() for address in addresses)
    )
    servers.write_text("nameserver 10.9.0.53\n")
    interpreter = [str(python), "-c", code]
    command = [*_NAMESPACES, "sh", "-c", _SET_UP, "sh", str(hosts), str(servers), *interpreter]
    done = subprocess.run(
        command,
        env={
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parent),
            **env,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "unshare" in done.stderr and done.returncode:
        pytest.skip(f"namespaces cannot be had here: {done.stderr}")
    return done
