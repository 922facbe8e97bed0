"""What a new collector starts with: a folder with a settings file that explains itself, and a token.

The settings file is written from the options of `serve`, so it names every setting there is, with
its default.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from plaintally_server.cli.options import CONFIG_FILE
from plaintally_server.cli.terminal import echo
from plaintally_server.exceptions import CommandError
from plaintally_server.file_errors import remedy

_HEADING = """\
# Settings of a collector. A line such as "# port = 8080" shows a default: change it, and take the "# " away.
# `plaintally-server serve --help` names the variables and options that win over this file.
"""
_ELSEWHERE = {
    "config",
    "token",
    "token_file",
}  # a token has a file of its own, which this one names


def choices(serve: click.Command) -> list[click.Parameter]:
    """The options of `serve` that may be chosen when a folder is set up."""
    return [parameter for parameter in serve.params if parameter.name not in _ELSEWHERE]


def run(folder: Path, context: click.Context, *, token: str) -> None:
    """Write the settings file and the token into a folder, and print what comes next.

    Raises:
        CommandError: one of the files is there already, or the folder cannot be written.
    """
    config, token_file = folder / CONFIG_FILE, folder / "token"
    given = {name: context.params[name] for name in context.params if _is_given(context, name)}
    chosen = {"database": folder / "plaintally.sqlite3", **given, "token_file": token_file}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in (config, token_file):
            if path.exists():
                raise CommandError(f"{path} is there already; nothing was written")
        _write(token_file, f"{token}\n", mode=0o600)
        try:
            _write(config, describe(_settings(context), chosen), mode=0o644)
        except BaseException:
            token_file.unlink()  # which would be in the way of the next attempt
            raise
    except OSError as error:
        advice = remedy(error, config, otherwise="name another folder")
        raise CommandError(f"cannot write into {folder} ({error.strerror}); {advice}") from error
    has_packages = bool(chosen.get("packages") or chosen.get("contracts"))
    _say_what_comes_next(config, token_file, has_packages=has_packages)


def describe(settings: list[click.Option], chosen: Mapping[str, Any]) -> str:
    """A settings file: what was chosen, and the defaults of everything else as comments."""
    return _HEADING + "".join(_entry(option, chosen) for option in settings)


def _settings(context: click.Context) -> list[click.Option]:
    parent = context.parent
    assert parent is not None  # noqa: S101  # it is the group of all commands
    assert isinstance(parent.command, click.Group)  # noqa: S101
    serve = parent.command.commands["serve"]
    return [
        option
        for option in serve.params
        if isinstance(option, click.Option) and option.name != "config"
    ]


def _is_given(context: click.Context, name: str) -> bool:
    return name != "folder" and context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _entry(option: click.Option, chosen: Mapping[str, Any]) -> str:
    what, more, _ = (option.help or "").partition("; may be given again")
    name = str(option.name)
    value = chosen.get(name, () if option.multiple else option.to_info_dict()["default"])
    return f"\n# {what}{'.' if more else ''}\n{'' if name in chosen else '# '}{name} = {_toml(value)}\n"


def _toml(value: object) -> str:
    """A value as TOML has it, which for texts, numbers and lists of texts is as JSON has it."""
    if isinstance(value, tuple):
        value = [_text(item) for item in value]
    elif not isinstance(value, int):
        value = "" if value is None else _text(value)
    return json.dumps(value, ensure_ascii=False)


def _text(value: object) -> str:
    """A value as a text; a path is found from everywhere."""
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


def _say_what_comes_next(config: Path, token_file: Path, *, has_packages: bool) -> None:
    echo(f"Wrote {config}: every setting, what it does and its default.")
    echo(f"Wrote {token_file}: the token with which maintainers read. Only you can read the file.")
    echo("Next:")
    if not has_packages:
        echo(f"  name what to count under `packages` in {config}")
    echo(f"  plaintally-server doctor --config {config}")
    echo(f"  plaintally-server serve --config {config}")
    echo("and put a proxy with TLS in front of it, such as Caddy or nginx.")
