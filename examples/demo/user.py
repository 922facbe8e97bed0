"""The user's part of the demonstration: infer, look at what was logged, and share it.

It runs in a process of its own, and writes the session's ID and its deletion key into the file that
it is given.
"""

import json
import sys
from pathlib import Path

import rxinfer_py

# of the preview
MAX_LINES = 14
MAX_COLUMNS = 110


def main(note: Path) -> None:
    """Infer the level of the Nile, show what was logged and what would leave, and share it."""
    model = rxinfer_py.local_level(level_var=1000.0, obs_var=10_000.0)
    result = rxinfer_py.infer(
        model=model, data={"y": rxinfer_py.nile()}, learn=True, iterations=50, free_energy=True
    )
    print(
        f"{result}\nvariances learned: "
        f"{', '.join(f'{n} {v:,.0f}' for n, v in result.parameters.items())}\n"
    )
    for _ in rxinfer_py.infer_stream(model=result.model, datastream=rxinfer_py.nile(), lag=5):
        pass
    try:
        rxinfer_py.infer(model=model, data={"y": []})
    except ValueError as error:
        print(f"One run fails, as it should: {error}\n")
    print(f"{rxinfer_py.summarize_session()}\n")
    print("What sharing this would send (telemetry.preview()):\n")
    lines = str(rxinfer_py.telemetry.preview()).splitlines()
    print(
        "\n".join(
            (line if len(line) <= MAX_COLUMNS else f"{line[:MAX_COLUMNS]}…")
            for line in lines[:MAX_LINES]
        )
    )
    print(
        f"    ... and {len(lines) - MAX_LINES} lines more\n\nNow it is shared "
        "(telemetry.share()):\n",
        flush=True,
    )
    shared = rxinfer_py.share_session_data()
    note.write_text(
        json.dumps(
            {"session": shared.session_id, "key": shared.deletion_key, "complete": shared.complete}
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
