"""How Chromium is started for tests, and how it tells the contrast of a text."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

_QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CONTRAST = """element => {
    const parse = text => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => {
        const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
        const [x, y, z] = [r, g, b].map(v => linear(v / 255));
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const style = getComputedStyle(element);
    const line = element instanceof SVGLineElement ? style.stroke : style.fill;
    const ink = light(parse(element instanceof SVGElement ? line : style.color));
    const paper = light(parse(getComputedStyle(document.body).backgroundColor));
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
}"""


@contextmanager
def run_chromium() -> Iterator[Browser]:
    program = shutil.which("chromium") or os.environ.get("CHROMIUM")
    assert program, "scripts/test installs chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_QUIET)
        yield browser
        browser.close()
