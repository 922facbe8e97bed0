"""`plaintally-server init`: writes a settings file that explains itself, and a token.

The settings file is written from the options of `serve`, so it names every setting there is, with
its default.
"""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from plaintally_server.cli.serve import serve
from plaintally_server.cli.settings_file import CONFIG_FILE
from plaintally_server.cli.terminal import echo
from plaintally_server.exceptions import CommandError
from plaintally_server.file_errors import remedy

_HEADING = """\
# Settings of a collector. A line such as "# port = 8080" shows a default: change it, and take the
# "# " away.
# `plaintally-server serve --help` names the variables and options that win over this file.
"""
# the token has a file of its own, which the settings file names
_NOT_CHOSEN = ("config", "token", "token_file")


@click.command(
    params=[parameter for parameter in serve.params if parameter.name not in _NOT_CHOSEN]
)
@click.argument(
    "folder", metavar="[DIR]", type=click.Path(path_type=Path, file_okay=False), default="."
)
@click.pass_context
def init(context: click.Context, /, *, folder: Path, **options: Any) -> None:  # noqa: ANN401
    """Write a settings file and a token into a folder, and say what to do next.

    The options of `serve`, but for --config and those of the token, may be given, and are written
    into the file.
    """
    folder = folder.absolute()
    config = folder / CONFIG_FILE
    token_file = folder / "token"
    given = {name: value for name, value in options.items() if _is_given(context, name)}
    chosen = {"database": folder / "plaintally.sqlite3", **given, "token_file": token_file}
    _write_both(config, describe(chosen), token_file, secrets.token_urlsafe(32))
    echo(f"Wrote {config}: every setting, what it does and its default.")
    echo(f"Wrote {token_file}: the token with which maintainers read. Only you can read the file.")
    echo("Next:")
    if not chosen.get("packages") and not chosen.get("contracts"):
        echo(f"  name what to count under `packages` in {config}")
    echo(f"  plaintally-server doctor --config {config}")
    echo(f"  plaintally-server serve --config {config}")
    echo("and put a proxy with TLS in front of it, such as Caddy or nginx.")


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _write_both(config: Path, settings: str, token_file: Path, token: str) -> None:
    """Write the settings file and the token, or neither."""
    folder = config.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in (config, token_file):
            if path.exists():
                raise CommandError(f"{path} is there already; nothing was written")
        _write(token_file, f"{token}\n", mode=0o600)
        try:
            _write(config, settings, mode=0o644)
        except BaseException:
            token_file.unlink()  # which would be in the way of the next attempt
            raise
    except OSError as error:
        advice = remedy(error, config, otherwise="name another folder")
        raise CommandError(f"cannot write into {folder} ({error.strerror}); {advice}") from error


def describe(chosen: Mapping[str, Any]) -> str:
    """Return a settings file: what was chosen, and the defaults of everything else as comments."""
    options = [option for option in serve.params if isinstance(option, click.Option)]
    return _HEADING + "".join(
        _describe_option(option, chosen) for option in options if option.name != "config"
    )


def _describe_option(option: click.Option, chosen: Mapping[str, Any]) -> str:
    name = str(option.name)
    what, is_list, _ = (option.help or "").partition("; may be given again")
    default = () if option.multiple else option.to_info_dict()["default"]
    comment = f"# {what}." if is_list else f"# {what}"
    line = f"{name} = {_toml(chosen.get(name, default))}"
    return f"\n{comment}\n{line}\n" if name in chosen else f"\n{comment}\n# {line}\n"


def _toml(value: object) -> str:
    """Return a value in TOML, which writes texts, numbers and lists of texts as JSON does."""
    if isinstance(value, tuple):
        value = [_text(item) for item in value]
    elif not isinstance(value, int):
        value = "" if value is None else _text(value)
    return json.dumps(value, ensure_ascii=False)


def _text(value: object) -> str:
    """Return a value as a text; a path is absolute."""
    return str(value.absolute() if isinstance(value, Path) else value)


def _write(path: Path, text: str, *, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123  # of a descriptor
            file.write(text)
    except FileExistsError:
        raise
    except BaseException:
        path.unlink(missing_ok=True)
        raise
