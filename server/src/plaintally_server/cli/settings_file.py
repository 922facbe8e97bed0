"""Settings as options: from the command line, else the environment, else the settings file.

A setting is declared where it is used, by `setting`; the settings file may hold all settings of all
commands, whichever is run.
"""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click
from click.core import ParameterSource

CONFIG_FILE = "plaintally-server.toml"
F = TypeVar("F", bound=Callable[..., Any])


class _Shape(NamedTuple):
    """What a settings file may hold under a key, and what errors call it."""

    types: tuple[type, ...]
    name: str


_TEXT = _Shape((str,), "a text")
_NUMBER = _Shape((int, str), "a whole number")
_LIST = _Shape((list,), "a list of texts")
SHAPES = {
    **dict.fromkeys(
        ("database", "host", "log_format", "metrics_host", "token", "token_file"), _TEXT
    ),
    **dict.fromkeys(("credentials", "export", "project", "webhook"), _TEXT),
    **dict.fromkeys(("metrics_port", "port", "rate_burst", "rate_limit"), _NUMBER),
    **dict.fromkeys(("contracts", "packages", "trusted_proxies"), _LIST),
}
"""By key of the settings file, its shape."""


class _Setting(click.Option):
    def consume_value(
        self, ctx: click.Context, opts: Mapping[str, Any]
    ) -> tuple[Any, ParameterSource]:
        """Return the value; an empty text is none, as in a variable and in the settings file."""
        given = {name: value for name, value in opts.items() if value != ""}
        return super().consume_value(ctx, given)

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """Return the name of the setting, and of the settings file if its value is from there."""
        if ctx and ctx.get_parameter_source(str(self.name)) is ParameterSource.DEFAULT_MAP:
            return f"{self.name!r} in {ctx.meta[CONFIG_FILE]}"
        return super().get_error_hint(ctx)


class Secret(_Setting):
    """A setting for the environment and the settings file only.

    Every user of a machine can list command lines.
    """

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:  # noqa: ANN401  # a type that click deprecates
        """Add nothing."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:  # noqa: ARG002  # click passes it
        """Return the line of the help, which names the variable in place of a flag."""
        return str(self.envvar), f"{self.help}  [variable or settings file only]"


def setting(name: str, **attributes: Any) -> Callable[[F], F]:  # noqa: ANN401
    """Declare an option that is also a variable and a key of the settings file."""
    parameter = attributes.pop("parameter", name)
    variable = f"PLAINTALLY_SERVER_{parameter.upper()}"
    flag = f"--{name.replace('_', '-')}"
    return click.option(
        flag, parameter, cls=_Setting, envvar=variable, show_envvar=True, **attributes
    )


def secret(name: str, **attributes: Any) -> Callable[[F], F]:  # noqa: ANN401
    """Declare a setting that the command line does not take."""
    variable = f"PLAINTALLY_SERVER_{name.upper()}"
    return click.option(f"--{name}", name, cls=Secret, envvar=variable, **attributes)


def read_file(context: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
    """Take the defaults of all other options from the settings file."""
    found = path or Path(CONFIG_FILE)
    if path is None and not found.exists():
        return None
    try:
        values = tomllib.loads(found.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise click.BadParameter(f"{found} cannot be read ({reason}).") from error
    for name, value in values.items():
        if name not in SHAPES:
            raise click.BadParameter(
                f"{found} has the unknown setting {name!r}; known are {', '.join(sorted(SHAPES))}."
            )
        if not _fits(value, SHAPES[name]):
            raise click.BadParameter(f"{found} must have {SHAPES[name].name} for {name}.")
    context.meta[CONFIG_FILE] = found
    context.default_map = {name: value for name, value in values.items() if value != ""}
    return found


def _fits(value: object, shape: _Shape) -> bool:
    if isinstance(value, list):
        return list in shape.types and all(isinstance(each, str) for each in value)
    return isinstance(value, shape.types) and not isinstance(value, bool)
