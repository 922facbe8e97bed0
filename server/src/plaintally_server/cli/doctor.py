"""`plaintally-server doctor`: prints what is wrong, and what to do."""

from datetime import UTC, datetime
from typing import Any

import click

from plaintally_server.admin.diagnosis import examine
from plaintally_server.cli.serve import serve
from plaintally_server.cli.terminal import echo

_FULL = click.Option(
    ["--full"], is_flag=True, help="Read the whole of a SQLite file for damage, which takes time."
)


@click.command(params=[*serve.params, _FULL])
def doctor(**options: Any) -> None:  # noqa: ANN401
    """Check what a collector with these settings needs.

    One line for each thing: ok, warning, or failed and what to do. The exit code is 1 where one
    failed.
    """
    findings = [*examine(now=datetime.now(UTC), **options)]
    for finding in findings:
        echo(f"{finding.state:7}  {finding.about:12}  {finding.says}")
    if any(finding.state == "failed" for finding in findings):
        raise SystemExit(1)
