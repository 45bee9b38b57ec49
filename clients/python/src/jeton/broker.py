"""How does a program get tokens from the broker?"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Mapping
from urllib.parse import quote

from .errors import ChangeRequestError, JetonError, Problem, garbled
from .secret import Secret
from .settings import Settings
from .sign_in import Bearer, SignIn
from .tokens import ConnectionStatus, HandedToken
from .wire import Answer, exchange, persist

LOG = logging.getLogger(__name__)
# What names give where app and connector were swapped: one who is confined to others is not told what there is.
_OF_A_NAME = ("forbidden", "app_not_found", "connector_not_found")


class Broker:
    """The broker, as one client of it. One for a program; all its threads may use it."""

    def __init__(self, settings: Settings | None = None) -> None:
        """Prepares the calls; sends nothing yet. Without `settings` they come from the environment."""
        self.settings = settings or Settings.from_env()
        self._sign_in = SignIn(self.settings)
        self._others: dict[str, SignIn] = {}
        self._told: dict[tuple[str, ...], str] = {}

    def __repr__(self) -> str:
        return f"Broker({self.settings!r})"

    def retrieve_token(
        self,
        app_id: str,
        connector: str,
        *,
        flow: str | None = None,
        min_ttl: int | None = None,
        rejected: int | None = None,
        wait: int | None = None,
    ) -> HandedToken:
        """A token of the app for the connector, refreshed if needed.

        `flow` chooses among several connections. `min_ttl` is how many seconds the token must be good for: it is, or
        the call fails. `rejected` says that the API refused the token of this generation. `wait` is how many seconds
        to wait for a refresh under way. Raises `JetonError`, whose class says what to do. Where the token is
        `degraded`, the log says so once.
        """
        params = {"flow": flow, "min_ttl": min_ttl, "rejected": rejected, "wait": wait}
        token = HandedToken.parse(self._get([app_id, connector, "binb-token"], params).body)
        if token is None:
            raise garbled("binb-token")
        self._tell(token)
        return token

    def status(self, app_id: str, connector: str, *, flow: str | None = None) -> ConnectionStatus:
        """The state of a connection; spends nothing."""
        status = ConnectionStatus.parse(self._get([app_id, connector, "status"], {"flow": flow}).body)
        if status is None:
            raise garbled("status")
        return status

    def bearer(self, resource: str | None = None) -> Secret:
        """This program's own access token, for services that take the broker's tokens.

        `resource` is the resource server it is for (RFC 8707): it is worth nothing elsewhere. Without it, the broker
        chooses: the only one that this client has, else itself. Each is kept until it is nearly over.
        """
        if resource is None:
            return self._sign_in.bearer().token
        # Two threads may make one each; the first that is kept serves both.
        return self._others.setdefault(resource, SignIn(self.settings, resource)).bearer().token

    def _tell(self, token: HandedToken) -> None:
        """Warns once of each thing that is wrong with a connection, and again when it comes back."""
        place = (token.app_id, token.connector, token.flow)
        if token.degraded is None:
            self._told.pop(place, None)
            return
        if self._told.get(place) != token.degraded.code:
            self._told[place] = token.degraded.code
            LOG.warning("the token of %s lives, but not all is well: %s", "/".join(place), token.degraded)

    def _get(self, segments: list[str], params: Mapping[str, str | int | None]) -> Answer:
        path = "".join(f"/{_segment(segment)}" for segment in segments)
        query = {name: str(value) for name, value in params.items() if value is not None}
        bearer = self._sign_in.bearer()
        answer = self._asked(path, query, bearer)
        if answer.status == 401:
            self._sign_in.forget(bearer)
            answer = self._asked(path, query, self._sign_in.bearer())
        if answer.status != 200:
            raise _told_names(answer.error(), *segments[:2])
        return answer

    def _asked(self, path: str, query: Mapping[str, str], bearer: Bearer) -> Answer:
        header = bearer.header()
        return persist(self.settings, lambda: exchange(self.settings, "GET", path, header, params=query))


_default: Broker | None = None
_default_lock = threading.Lock()


def default_broker() -> Broker:
    """The broker that the environment names, the same one each time."""
    global _default  # noqa: PLW0603 - one for the process is the point
    with _default_lock:
        if _default is None:
            _default = Broker()
        return _default


def locate(auth_id: str, app_id: str | None = None) -> tuple[str, str | None]:
    """App and flow of an `auth_id`: with `app_id` it is the flow; without, it is `app` or `app/flow`."""
    if app_id is not None:
        return app_id, auth_id or None
    app, slash, flow = auth_id.partition("/")
    if not app or (slash and not flow):
        raise ChangeRequestError(Problem(code="auth_id", detail=f"`{auth_id}` is neither `app` nor `app/flow`"))
    return app, flow or None


def retrieve_token(
    service_id: str,
    auth_id: str,
    *,
    app_id: str | None = None,
    min_ttl: int | None = None,
    broker: Broker | None = None,
) -> Secret:
    """The access token of a service for an authentication, as extraction code calls for it.

    `service_id` is the connector (or an alias of it). `auth_id` is the flow in the app `app_id`; without `app_id` it
    is `app` or `app/flow`. Raises `JetonError`, whose class says what to do.
    """
    app, flow = locate(auth_id, app_id)
    return (broker or default_broker()).retrieve_token(app, service_id, flow=flow, min_ttl=min_ttl).access_token


def _told_names(error: JetonError, app_id: str, connector: str) -> JetonError:
    """The error with the names that were asked for, where it may be one of them that is wrong."""
    if error.code not in _OF_A_NAME:
        return error
    asked = f"asked for the app `{app_id}` and the connector `{connector}`: are they swapped?"
    advice = "; ".join(filter(None, (error.problem.advice, asked)))
    return type(error)(dataclasses.replace(error.problem, advice=advice))


def _segment(text: str) -> str:
    if text in ("", ".", ".."):
        raise ChangeRequestError(Problem(code="segment", detail=f"`{text}` cannot be an id"))
    return quote(text, safe="")
