"""Opens an event stream over HTTP, and tells what another try may mend from what it will not."""

from __future__ import annotations

import json
import ssl
import time
from base64 import b64encode
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http.client import HTTPMessage, HTTPResponse, InvalidURL
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from sseapp.errors import BadParameterError, FollowError

_STREAM = "text/event-stream"
_RETRIED = {408, 425, 429, *range(500, 600)} - {501, 505}
"""Statuses that another try may not bring: the server, or a proxy before it, is busy, starting or away."""
_SAFE = "/%:@!$&'()*+,;=~?-._"
_LONGEST_WISH = 300  # seconds that a Retry-After may ask for
_SHOWN = 300  # characters of an answer that is no problem+json


class LostError(OSError):
    """There is no stream now; another try may find one, after ``wish`` seconds if the server has named a time."""

    def __init__(self, why: str, wish: float = 0.0) -> None:
        super().__init__(why)
        self.wish = wish


class Address:
    """Where a stream is, and the headers it is asked for with. Raises :exc:`~sseapp.errors.BadParameterError`."""

    def __init__(
        self, url: str, *, token: str | None, headers: Mapping[str, str], timeout: float, tls: ssl.SSLContext | None
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise BadParameterError("An address such as http://localhost:8000/tables/orders/changes.", parameter="url")
        self._headers = {"Accept": _STREAM, "Cache-Control": "no-store"} | dict(headers)
        user, at, host = parts.netloc.rpartition("@")
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        elif at:
            self._headers["Authorization"] = f"Basic {b64encode(unquote(user).encode()).decode()}"
        self._url = urlunsplit((parts.scheme, host, quote(parts.path, _SAFE), quote(parts.query, _SAFE), ""))
        self._timeout = timeout
        self._opener = build_opener(_Redirects, HTTPSHandler(context=tls or ssl.create_default_context()))

    def open(self, cursor: str) -> HTTPResponse:
        """The answer, a stream that goes on from ``cursor``.

        Raises :exc:`~sseapp.errors.FollowError`, or ``OSError`` or ``HTTPException`` for what another try may mend.
        """
        headers = self._headers | ({"Last-Event-ID": cursor} if cursor else {})
        try:
            # of what else urllib would open the address is none
            answer: HTTPResponse = self._opener.open(Request(self._url, headers=headers), timeout=self._timeout)  # noqa: S310
        except HTTPError as error:
            with error:
                raise _refusal(error) from None
        except InvalidURL as error:
            raise FollowError(str(error), parameter="url") from None
        except URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                raise FollowError(f"The server's certificate is not trusted: {error.reason.verify_message}") from None
            raise
        try:
            _check(answer)
        except BaseException:
            answer.close()
            raise
        return answer


class _Redirects(HTTPRedirectHandler):
    """Sends credentials to no other server."""

    def redirect_request(  # noqa: PLR0917  # as urllib calls it
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is not None and (request.type, request.host) != (req.type, req.host):
            request.remove_header("Authorization")
        return request


def _check(answer: HTTPResponse) -> None:
    """Refuse what is no event stream: a page to sign in, for example."""
    kind = answer.headers.get_content_type() if "Content-Type" in answer.headers else "without a type"
    if answer.status == 200 and kind == _STREAM:  # noqa: PLR2004  # OK
        return
    # a connection that was cut within the head looks as if it had ended there
    if not answer.read1(1):
        raise LostError("the connection was cut within the answer's head")
    raise FollowError(
        f"{answer.url} answers {answer.status} with {kind} and not with an event stream.", status=answer.status
    )


def _refusal(error: HTTPError) -> Exception:
    problem = _problem(error)
    detail = str(problem.get("detail") or error.reason)
    if error.code in _RETRIED:
        return LostError(f"{error.code} {detail}", _wish(error.headers.get("Retry-After", "")))
    return FollowError(
        f"{error.code}: {detail}",
        status=error.code,
        parameter=problem.get("parameter"),
        reason=problem.get("reason"),
    )


def _problem(error: HTTPError) -> dict[str, Any]:
    """The members of ``application/problem+json`` (RFC 9457); none where it is something else."""
    try:
        found = json.loads(error.read(1 << 16))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _wish(text: str) -> float:
    """The seconds of ``Retry-After`` (RFC 9110, section 10.2.3): a number of them, or a date."""
    if text.isascii() and text.isdecimal():
        return float(min(int(text[:9]), _LONGEST_WISH))
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return min(max(0.0, date.timestamp() - time.time()), _LONGEST_WISH)
