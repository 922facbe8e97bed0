"""The watchdog of systemd, which restarts a collector that no longer reports (`sd_notify(3)`)."""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress


async def report_health(is_well: Callable[[], bool]) -> None:
    """Report twice in each period of systemd's watchdog, as long as the collector is well."""
    address = os.environ.get("NOTIFY_SOCKET")
    period_us = os.environ.get("WATCHDOG_USEC", "")
    if not address or not period_us.isdecimal():
        return
    if address.startswith("@"):
        address = f"\0{address[1:]}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        while True:
            with suppress(OSError):
                if is_well():
                    sender.sendto(b"WATCHDOG=1", address)
            await asyncio.sleep(int(period_us) / 2e6)
