"""The content of a preferences file: TOML and its keys. Pure; loaded if there is a file."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KEYS = frozenset(("counter", "session_log", "session_capacity", "automatic_sharing", "endpoint"))


def normalise(package: str) -> str:
    """Return a package's name as it stands in a collection's name: lower case, with underscores."""
    return package.lower().replace("-", "_").replace(".", "_")


def understood(table: "Any") -> "dict[str, Any]":  # noqa: ANN401  # what a file holds can be anything
    """The table with the names of packages normalised.

    Raises:
        TypeError: it is no table, or holds no table where there must be one.
        ValueError: a key is unknown, or a package stands there twice. A misspelt `counter = false`
            was meant as a no, and must not pass for silence; nor must one that a second table would
            hide.
    """
    packages = table.get("packages", {}) if isinstance(table, dict) else None
    if not isinstance(packages, dict) or not all(
        isinstance(own, dict) for own in packages.values()
    ):
        raise TypeError(
            "preferences must be a table, and packages in it a table of tables, as "
            "[packages.rxinfer] is"
        )
    for keys in (set(table) - {"packages", "enforce"}, *packages.values()):
        for key in keys:
            if key.removesuffix("_by") not in KEYS:  # such a key records who wrote the other one
                raise ValueError(f"unknown key {key!r}; known are {', '.join(sorted(KEYS))}")
    normalised = {normalise(name): own for name, own in packages.items()}
    if len(normalised) < len(packages):
        raise ValueError("a package stands there twice, with its name spelled in two ways")
    return {**table, "packages": normalised}


def parse(content: bytes) -> "dict[str, Any]":
    """The table in a TOML file.

    What this package writes itself, and what most people write, is read without `tomllib`, whose
    import would take most of the time that a host's import of us takes; everything else, and every
    doubt, goes to `tomllib`.

    Raises:
        ValueError: the content is no TOML, or no UTF-8, or has a key of too many parts.
    """
    text = content.decode().removeprefix("\ufeff")
    table = _parse_plain(text)
    if table is None:
        from plaintally.consent import toml

        return toml.loads(text)
    return table


def _parse_plain(text: str) -> "dict[str, Any] | None":
    """The table of a TOML file with bare keys and plain values; None for any other file."""
    text = text.replace("\r\n", "\n")
    if not text.replace("\n", "").replace("\t", "").isprintable():
        return None
    root: dict[str, Any] = {}
    target = root
    headers = set()
    for line in (raw.strip(" \t") for raw in text.split("\n")):
        if not line or line[0] == "#":
            continue
        if line[0] == "[":
            if line in headers or (opened := _open_table(root, line)) is None:
                return None
            headers.add(line)
            target = opened
            continue
        key, _, rest = line.partition("=")
        key = key.rstrip(" \t")
        value = _plain_value(rest.lstrip(" \t"))
        if not _is_bare(key) or key in target or value is None:
            return None
        target[key] = value
    return root


def _open_table(root: "dict[str, Any]", line: str) -> "dict[str, Any] | None":
    table: Any = root
    parts = line[1:-1].split(".")
    if len(parts) > 4:  # as no table of ours has
        return None
    for part in parts:
        if not _is_bare(part) or line[-1] != "]" or not isinstance(table, dict):
            return None
        table = table.setdefault(part, {})
    return table if isinstance(table, dict) else None


def _plain_value(text: str) -> "bool | int | str | None":
    """A boolean, whole number or plain string, with an optional comment; None otherwise."""
    if text[:1] == '"':
        inner, closed, behind = text[1:].partition('"')
        plain = closed and "\\" not in inner and behind.lstrip(" \t")[:1] in ("", "#")
        return inner if plain else None
    word = text.partition("#")[0].rstrip(" \t")
    if word in ("true", "false"):
        return word == "true"
    return int(word) if word.isascii() and word.isdigit() and str(int(word)) == word else None


def _is_bare(key: str) -> bool:
    return key.isascii() and key.replace("-", "_").replace("_", "a").isalnum()
