"""What all pages share: templates, forms, and headers that let a page load and run nothing."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from plaintally_server.exceptions import Refusal, forbidden, invalid
from plaintally_server.http.middleware import Check
from plaintally_server.http.models import Request as APIRequest
from plaintally_server.http.models import make_request, read_body

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
}
FORM_HEADERS = {
    **HEADERS,
    "Content-Security-Policy": HEADERS["Content-Security-Policy"].replace(
        "form-action 'none'", "form-action 'self'"
    ),
    "Cache-Control": "no-store",
}
_ISOLATED = (
    (b"cross-origin-embedder-policy", b"require-corp"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"x-frame-options", b"DENY"),
)
"""Headers that keep pages of other origins from embedding, opening or measuring these."""
_FORM_LIMIT = 10_000
VISITS = 120
"""How many pages a client may ask for at once: more than people read."""
VISITS_PER_S = 2
"""How many pages a client may ask for in a second after that."""
_UNLIMITED = ("/static/", "/healthz", "/readyz")
"""Paths that cost no more than a rejection; load balancers ask for health again and again."""
_NOTHING = "\N{EN DASH}"
_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters["number"] = lambda number: f"{number:,}"
_TEMPLATES.filters["day"] = lambda day: f"{day.day} {day:%B %Y}"
_TEMPLATES.filters["moment"] = lambda moment: f"{moment.day} {moment:%B %Y at %H:%M} UTC"


def tell_share(share: float | None) -> str:
    """A share from 0 to 1 in per cent."""
    if share is None:
        return _NOTHING
    return f"{share:.1%}" if share < 1 else "100%"


def tell_duration(duration_ms: float | None) -> str:
    """A duration in milliseconds for a person, with three digits."""
    if duration_ms is None:
        return _NOTHING
    for size, unit in ((3_600_000, "h"), (60_000, "min"), (1000, "s"), (1, "ms")):
        if duration_ms >= size:
            value = duration_ms / size
            return f"{value:.3g} {unit}" if value < 1000 else f"{value:,.0f} {unit}"  # noqa: PLR2004
    return f"{duration_ms * 1000:.3g} \N{MICRO SIGN}s"


_TEMPLATES.filters |= {"share": tell_share, "duration": tell_duration}


def render(
    template: str, status: int = 200, *, is_form: bool = False, **values: object
) -> Response:
    """A page; one that is a form may be sent to this collector, and is kept in no cache."""
    page = _TEMPLATES.get_template(template).render(**values)
    return HTMLResponse(page, status, headers=FORM_HEADERS if is_form else HEADERS)


def limit_visits(pages: ASGIApp, check: Check) -> ASGIApp:
    """Return the same pages, which are shown if the check accepts the requests of a client."""

    async def limited(scope: Scope, receive: Receive, send: Send) -> None:
        answer: ASGIApp = pages
        if scope["type"] == "http" and not scope["path"].startswith(_UNLIMITED):
            try:
                check(make_request(scope, receive))
            except Refusal as refusal:
                answer = render(
                    "problem.html", refusal.code, title="Too many requests", text=refusal.message
                )
                answer.headers["retry-after"] = str(refusal.retry_after_s)
        await answer(scope, receive, send)

    return limited


def isolate(pages: ASGIApp) -> ASGIApp:
    """Return the same pages, isolated from pages of other origins, with all that they load."""

    async def isolated(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_isolated(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *_ISOLATED]}
            await send(message)

        await pages(scope, receive, send_isolated)

    return isolated


async def read_form(page: Request, *names: str, check: Check) -> list[str]:
    """The values of a form's fields, without the spaces around them; empty where there is none.

    Raises:
        Refusal: the body is no form, the page of another site sent it, or the check refuses the
            request.
    """
    request = make_request(page.scope, page.receive)
    if is_foreign(request):
        raise forbidden("This form was sent by another page.")
    check(request)
    body = await read_body(request, _FORM_LIMIT)
    try:
        found = parse_qs(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=10)
    except ValueError:
        raise invalid("The form cannot be read.") from None
    return [found.get(name, [""])[-1].strip() for name in names]


def is_foreign(request: APIRequest) -> bool:
    """Return whether the page of another site sent a request, as far as the browser says."""
    site = request.headers.get(b"sec-fetch-site")
    origin = request.headers.get(b"origin")
    if site is not None:
        return site not in (b"same-origin", b"none")
    return origin is not None and _find_host(origin.decode("latin-1")) != request.header(b"host")


def _find_host(origin: str) -> str | None:
    """Return the host and port of an origin; None if it is not one."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
