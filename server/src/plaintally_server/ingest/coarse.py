"""Makes versions from older and other clients as coarse as those of the SDK. Pure."""

from collections.abc import Mapping
from typing import Any

from plaintally.versions import coarse_version


def coarsen(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an import or a session with coarse versions.

    A version is a text whose name ends in "version", as in `package_version` and in RxInfer's
    `juliaVersion`.
    """
    return {name: _coarsen(name, value) for name, value in fields.items()}


def _coarsen(name: str, value: object) -> object:
    if name == "environment" and isinstance(value, Mapping):
        return coarsen(value)
    is_version = isinstance(value, str) and name.lower().endswith("version")
    return coarse_version(value) if is_version else value
