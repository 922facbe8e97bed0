"""The proxy that the environment names, as curl reads it. Pure."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def find_proxy(
    scheme: str, host: str, port: int, environment: "Mapping[str, str]"
) -> "tuple[str, int, bytes] | None":
    """Return the proxy that the environment names, or None to connect directly.

    A proxy is its host without brackets, its port, and the header line with its password.

    Raises:
        OSError: its URL cannot be used; the text does not contain the password.
    """
    url = find_url(scheme, host, port, environment)
    return _parse(url) if url else None


def find_url(scheme: str, host: str, port: int, environment: "Mapping[str, str]") -> str:
    """Return the URL of the proxy for a server, or nothing.

    These are HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY in either case; lower case wins. A
    name in NO_PROXY matches itself and its subdomains, `host:port` only that port, `*` everything.
    HTTP_PROXY in upper case is ignored in a CGI script, where a client's header sets it. Loopback
    never goes through a proxy.
    """

    def value(name: str) -> str:
        return environment.get(name) or environment.get(name.upper()) or ""

    name = host.strip("[]")
    if name in ("localhost", "::1") or name.startswith("127.") or name.endswith(".localhost"):
        return ""
    for entry in value("no_proxy").replace(",", " ").lower().split():
        bare, _, only_port = entry.rpartition(":") if entry.count(":") == 1 else (entry, "", "")
        domain = bare.strip("[]").removeprefix("*").lstrip(".")
        matches = entry == "*" or (domain and (name == domain or name.endswith("." + domain)))
        if matches and only_port in ("", str(port)):
            return ""
    if scheme == "http" and "REQUEST_METHOD" in environment:
        return environment.get("http_proxy") or value("all_proxy")
    return value(f"{scheme}_proxy") or value("all_proxy")


def _parse(url: str) -> "tuple[str, int, bytes]":
    scheme, _, rest = url.partition("://") if "://" in url else ("http", "", url)
    if scheme.lower() != "http":
        raise OSError(
            f"{scheme[:10]} proxies are not supported; name an http:// proxy, or the host in "
            "NO_PROXY"
        )
    credentials, _, address = rest.partition("/")[0].rpartition("@")
    has_port = ":" in address.rpartition("]")[2]
    host, _, port = address.rpartition(":") if has_port else (address, "", "80")
    if not port.isdigit() or not 0 < int(port[:6]) < 65536:
        raise OSError(
            "the port of the proxy must be a number from 1 to 65535; write / in its password as %2F"
        )
    authorization = b""
    if credentials:
        from base64 import b64encode
        from urllib.parse import unquote_to_bytes

        # As in curl, a `%` without two hexadecimal digits after it stays.
        encoded = b64encode(unquote_to_bytes(credentials.encode(errors="surrogateescape")))
        authorization = b"Proxy-Authorization: Basic " + encoded + b"\r\n"
    return host.strip("[]"), int(port), authorization
