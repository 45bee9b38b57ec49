"""How does a `requests` call carry a token of a connection?"""

from __future__ import annotations

import io
import logging
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from .broker import Broker
from .errors import JetonError, RetryError, misconfigured
from .settings import is_sendable
from .source import TokenSource
from .tokens import HandedToken

LOG = logging.getLogger(__name__)


class ConnectorAuth(AuthBase):
    """Attaches the bearer; after a 401 it tells the broker, and sends the request once more with a better token
    where its body can be sent again.

    A call raises `JetonError` where somebody must act, before and after a 401: `ReauthorizeError` where a person must
    connect the account again. Where the broker has no better token just now, the API's 401 is the answer.

    `requests.get(url, auth=ConnectorAuth("acme", "github"))`, or `session.auth = ConnectorAuth(...)`; any number of
    threads may share it. A session sends its `auth` to every host it calls: `hosts` confines the token to these.
    """

    def __init__(
        self,
        app_id: str,
        connector: str,
        *,
        flow: str | None = None,
        min_ttl: int | None = None,
        hosts: tuple[str, ...] | None = None,
        broker: Broker | None = None,
    ) -> None:
        self.source = TokenSource(app_id, connector, flow=flow, min_ttl=min_ttl, broker=broker)
        self._hosts = hosts

    def __repr__(self) -> str:
        return f"ConnectorAuth({self.source!r})"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return attach(request, self.source, self._hosts)


def attach(
    request: requests.PreparedRequest, source: TokenSource, hosts: tuple[str, ...] | None = None
) -> requests.PreparedRequest:
    """Puts the token of `source` on a request, and has a 401 answered by asking again once."""
    url = urlsplit(request.url or "")
    if not is_sendable(url):
        raise misconfigured(f"a token is not sent to {url.scheme}://{url.netloc}: use https")
    if hosts is not None and url.hostname not in hosts:
        raise misconfigured(f"a token of {source.connector} is not sent to {url.hostname}, which is not among `hosts`")
    token = source.token()
    _put(request, token)
    start = _position(request)

    def again(response: requests.Response, **options: Any) -> requests.Response:
        # Redirected to another host, the request has lost the token, and gets none there.
        if response.status_code != 401 or response.request.headers.get("Authorization") != _value(token):
            return response
        try:
            better = source.renewed(token)
        except RetryError as error:
            # It may pass: whoever called is told what the API said.
            LOG.warning("the API refused the token, and there is no better one just now: %s", error)
            return response
        except JetonError:
            # Somebody must act, which the API's answer does not say.
            response.close()
            raise
        # What can be sent only once has told the broker all the same: the next request has the better token.
        if start is None or better.access_token == token.access_token:
            return response
        return _sent_again(response, better, start, options)

    request.register_hook("response", again)  # type: ignore[no-untyped-call]
    return request


def _sent_again(
    response: requests.Response, token: HandedToken, start: int, options: dict[str, Any]
) -> requests.Response:
    # As `requests` itself does it for digest authentication: read what is left, so that the connection is free.
    _ = response.content
    response.close()
    request = response.request.copy()
    if isinstance(request.body, io.IOBase):
        request.body.seek(start)
    _put(request, token)
    answer: requests.Response = response.connection.send(request, **options)
    answer.history.append(response)
    answer.request = request
    return answer


def _value(token: HandedToken) -> str:
    return f"Bearer {token.access_token}"


def _put(request: requests.PreparedRequest, token: HandedToken) -> None:
    request.headers["Authorization"] = _value(token)


def _position(request: requests.PreparedRequest) -> int | None:
    """Where the body begins; none for one that can be sent only once."""
    body: object = request.body
    if body is None or isinstance(body, (bytes, str)):
        return 0
    if isinstance(body, io.IOBase) and body.seekable():
        return body.tell()
    return None
