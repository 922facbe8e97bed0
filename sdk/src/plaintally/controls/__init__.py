"""What users ask of a handle after the import, loaded when they first ask.

Each function is a method of `plaintally.Telemetry`, whose handle is its first parameter.
"""

from plaintally.controls.sessions import (
    begin,
    create_session,
    forget,
    preview,
    reduce,
    set_session,
    share,
)
from plaintally.controls.switches import (
    disable_automatic_sharing,
    disable_counter,
    disable_session_logging,
    enable_automatic_sharing,
    enable_counter,
    enable_session_logging,
    set_endpoint,
    set_session_capacity,
    status,
)

__all__ = [
    "begin",
    "create_session",
    "disable_automatic_sharing",
    "disable_counter",
    "disable_session_logging",
    "enable_automatic_sharing",
    "enable_counter",
    "enable_session_logging",
    "forget",
    "preview",
    "reduce",
    "set_endpoint",
    "set_session",
    "set_session_capacity",
    "share",
    "status",
]
