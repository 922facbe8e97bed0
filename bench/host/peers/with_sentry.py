"""sentry-sdk: initialise, capture a message."""

import os

import sentry_sdk

scheme, _, rest = os.environ["BENCH_URL"].partition("://")
sentry_sdk.init(dsn=f"{scheme}://key@{rest}/1")
sentry_sdk.capture_message("bench_import")
handle = sentry_sdk.capture_exception


def calls():
    """A breadcrumb."""
    return {
        "breadcrumb": lambda: sentry_sdk.add_breadcrumb(
            category="fit", message="fit", data={"steps": 3}
        )
    }
