"""Which installed packages use plaintally, and their handles.

A package declares itself by an entry point of the group `plaintally`, whose value is the module
that makes its handle. Other packages' mistakes stop no command: they are reported and ignored.
"""

import argparse
import contextlib
import functools
import importlib
import importlib.metadata
import sys

import plaintally
from plaintally import Telemetry
from plaintally.cli.output import say
from plaintally.exceptions import PlaintallyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def package_name(name: str) -> str:
    """The name of a package, as an argument of a command."""
    try:
        return plaintally._valid_package(name)
    except PlaintallyError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def find(package: str, *, declared_only: bool = False) -> "Telemetry | None":
    """Return the handle of a package, by its entry point or the module of that name.

    Where the name is a stranger's, `declared_only` imports no module but those that installed
    packages declare.
    """
    modules = [module for name, module in declared() if name == package]
    with _looking_only():
        for module in modules if declared_only else [*modules, package]:
            try:
                importlib.import_module(module)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001  # whatever a stranger does at import
                if type(error) is not ModuleNotFoundError or error.name != module:
                    say(f"plaintally: {module} cannot be imported ({reason(error)})", error=True)
            if package in Telemetry.handles:
                break
    return Telemetry.handles.get(package)


@contextlib.contextmanager
def _looking_only() -> "Iterator[None]":
    """Import without counting, and without a package's chatter in our output."""
    plaintally._inspecting = True
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        plaintally._inspecting = False


@functools.cache
def declared() -> "tuple[tuple[str, str], ...]":
    """Return name and module of each declared package, whatever the others hold."""
    found = []
    for entry, place in entry_points("plaintally"):
        try:
            found.append((plaintally._valid_package(entry.name), entry.module))
        except Exception as error:  # noqa: BLE001
            what = f"the entry point {entry.name} of {place}"
            say(f"plaintally: ignored {what} ({reason(error)})", error=True)
    return tuple(found)


@functools.cache
def entry_points(group: str) -> "tuple[tuple[importlib.metadata.EntryPoint, str], ...]":
    """Return the entry points of a group, each with its distribution's folder."""
    found: list[tuple[importlib.metadata.EntryPoint, str]] = []
    for distribution in importlib.metadata.distributions():
        place = str(getattr(distribution, "_path", distribution))
        try:
            found += [(entry, place) for entry in distribution.entry_points.select(group=group)]
        except Exception as error:  # noqa: BLE001  # whatever a stranger's file holds
            say(f"plaintally: ignored the entry points of {place} ({reason(error)})", error=True)
    return tuple(found)


def reason(error: BaseException) -> str:
    """Return the type and text of a foreign error, whose `__str__` may fail as well."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001
        return f"{type(error).__name__}, which has no readable text"
