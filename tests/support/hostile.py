"""Text that a terminal would obey, for every place that text comes from, and what must be left of
it in an output."""

import json
from typing import Any

HOSTILE = (
    "\x1b]52;c;cm0=\x07\x9b2J\x7f\b\u202e\u2066\u200b\u2028\x85\ufeff"
    "[link=https://a.org]x[/link]\r\nforged: line"
)
"""It sets a clipboard, clears the screen, turns the direction of text, has no width, forges a line,
and is markup."""
ID = "9eb898b5-76a4-49b0-b1b6-ba209ba39adf"


def saved_session(**changed: Any) -> dict[str, Any]:  # noqa: ANN401
    """A saved session that can be loaded, with hostile text wherever a text may be anything."""
    invoke = {
        "id": ID,
        "status": "error",
        "execution_start": "2026-11-23T20:15:30+00:00",
        "execution_end": "2026-11-23T20:15:31+00:00",
        "duration_ms": 1000.0,
        "context": {
            "formula": HOSTILE,
            "error": {"type": "ValueError", "frames": []},
            "error_message": HOSTILE,
        },
    }
    stats = {
        "id": ID,
        "total_invokes": 1,
        "success_count": 0,
        "failed_count": 1,
        "min_duration_ms": 1000.0,
        "max_duration_ms": 1000.0,
        "total_duration_ms": 1000.0,
        "context_keys": [HOSTILE, "formula", "error"],
        "dropped": {HOSTILE: 3},
        "invokes": [invoke],
    }
    contract = {
        "labels": {
            "fit": {
                "context": {"formula": {"kind": "Source"}, "error": {"kind": "ErrorType"}},
                "columns": {"[link=https://example.org]Formula[/link]": "formula"},
            }
        }
    }
    return {
        "format": 1,
        "package": "hostilepkg",
        "id": ID,
        "created_at": "2026-11-23T20:15:30+00:00",
        "environment": dict.fromkeys(
            ("python_version", "package_version", "os", "machine", HOSTILE), HOSTILE
        ),
        "capacity": 10,
        "deletion_key": "0123456789abcdef" * 2,
        "contract": contract,
        "labels": {"fit": stats, HOSTILE: {**stats, "invokes": []}},
        **changed,
    }


def find_unprintable(output: bytes) -> set[str]:
    """The characters of an output that are neither printable nor the end of a line."""
    return {
        character
        for character in output.decode()
        if character != "\n" and not character.isprintable()
    }


def forged_lines(output: bytes) -> list[str]:
    """The lines that text from elsewhere has made."""
    return [line for line in output.decode().split("\n") if line.startswith("forged")]


def dump(data: object) -> bytes:
    """JSON with its text as it is."""
    return json.dumps(data, ensure_ascii=False).encode()
