"""How do connectors of toucan-connectors get their tokens from the broker?

Three ways in, as that library has them: a `SecretsKeeper` for OAuth2 connectors, callbacks for the HTTP API connector,
and `retrieve_token(service_id, auth_id)` (`jeton.retrieve_token`) for connectors whose OAuth is managed.

The broker refreshes, and refresh tokens never leave it: what is loaded holds an access token alone. People connect
accounts at the broker, so nothing is saved from here.
"""

from __future__ import annotations

from typing import Any, NoReturn

from toucan_connectors.http_api.authentication_configs import HttpOauth2SecretsKeeper
from toucan_connectors.oauth2_connector.oauth2connector import SecretsKeeper

from .broker import Broker, locate
from .errors import ChangeRequestError, Problem
from .source import TokenSource
from .tokens import HandedToken


class JetonSecretsKeeper(SecretsKeeper):
    """Loads tokens of one connector; the key (`auth_flow_id`) is the flow in the app `app_id`.

    Without `app_id` the key is `app` or `app/flow`. A token is kept for as long as the broker guarantees it.
    """

    def __init__(
        self,
        connector: str,
        *,
        app_id: str | None = None,
        min_ttl: int | None = None,
        broker: Broker | None = None,
    ) -> None:
        self._connector = connector
        self._app_id = app_id
        self._min_ttl = min_ttl
        self._broker = broker
        self._sources: dict[str, TokenSource] = {}

    def __repr__(self) -> str:
        return f"JetonSecretsKeeper({self._connector!r}, app_id={self._app_id!r})"

    def load(self, key: str, **_: Any) -> dict[str, Any]:
        """`access_token`, `token_type`, and fields of the provider such as `instance_url`.

        No `expires_at`: that library would compare it with the clock of this machine, and refresh by itself.
        Raises `JetonError`; the text of a `ReauthorizeError` says where to connect the account.
        """
        token = self._token(key)
        return {**token.extra, "access_token": token.access_token, "token_type": token.token_type}

    def save(self, key: str, value: Any, **_: Any) -> NoReturn:  # noqa: ARG002
        """Refuses: an account is connected in the browser, at the broker."""
        raise _read_only(self._connector, key)

    def _token(self, key: str) -> HandedToken:
        source = self._sources.get(key)
        if source is None:
            app, flow = locate(key, self._app_id)
            made = TokenSource(app, self._connector, flow=flow, min_ttl=self._min_ttl, broker=self._broker)
            # Two threads may make one each; the first that is kept serves both.
            source = self._sources.setdefault(key, made)
        return source.token()


def http_secrets_keeper(
    connector: str, *, app_id: str | None = None, min_ttl: int | None = None, broker: Broker | None = None
) -> HttpOauth2SecretsKeeper:
    """A keeper for `set_secret_keeper` of the HTTP API connector's OAuth2 configurations; keys as above."""
    keeper = JetonSecretsKeeper(connector, app_id=app_id, min_ttl=min_ttl, broker=broker)

    def load(key: str, _context: dict[str, Any] | None) -> dict[str, Any]:
        return {"access_token": keeper.load(key)["access_token"]}

    def save(key: str, _value: dict[str, Any], _context: dict[str, Any] | None) -> None:
        raise _read_only(connector, key)

    def delete(key: str, _context: dict[str, Any] | None) -> None:
        raise _read_only(connector, key)

    return HttpOauth2SecretsKeeper(save_callback=save, delete_callback=delete, load_callback=load)


def _read_only(connector: str, key: str) -> ChangeRequestError:
    detail = f"tokens of {connector} for `{key}` are kept by the broker: accounts are connected there, in the browser"
    return ChangeRequestError(Problem(code="read_only", detail=detail))
