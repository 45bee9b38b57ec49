"""How do Airflow's connections and variables get tokens from the broker?

A secrets backend. An id `jeton/acme/github` (or `jeton/acme/github/flow`) is the token of that app and connector; any
other id is answered with nothing, without the network, and the next backend is asked.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence

try:
    from airflow.secrets.base_secrets import BaseSecretsBackend
except ImportError:  # A worker that has the task SDK alone.
    from airflow.sdk.bases.secrets_backend import BaseSecretsBackend  # type: ignore[assignment,unused-ignore]

from .broker import Broker
from .errors import JetonError, misconfigured
from .settings import Settings
from .source import TokenSource
from .tokens import HandedToken

LOG = logging.getLogger(__name__)

_MOST_SOURCES = 10_000


class JetonSecretsBackend(BaseSecretsBackend):
    """Answers with tokens, each kept for as long as the broker guarantees it.

    `[secrets] backend_kwargs` takes the parameters as JSON. What is not given there comes from the environment, as for
    `Settings.from_env`; the client secret comes from there or from a file alone, since Airflow's configuration is read
    by many.
    """

    def __init__(
        self,
        *,
        connections_prefix: str | None = "jeton/",
        variables_prefix: str | None = "jeton/",
        config_prefix: str | None = "jeton/",
        hosts: Mapping[str, str] | None = None,
        min_ttl: int | None = None,
        team_apps: Mapping[str, Sequence[str]] | None = None,
        url: str | None = None,
        client_id: str | None = None,
        client_secret_file: str | None = None,
        broker: Broker | None = None,
    ) -> None:
        """Sends nothing yet.

        A prefix of `None` leaves that kind of look-up to the next backend. `hosts` gives connections the base address
        of a connector's API: `{"github": "https://api.github.com"}`. `team_apps` says which apps a team of Airflow may
        use; without it, the app that is named like the team.
        """
        super().__init__()
        self._prefixes = {
            "connection": connections_prefix,
            "variable": variables_prefix,
            "config": config_prefix,
        }
        if any(prefix == "" for prefix in self._prefixes.values()):
            raise misconfigured("a prefix of the jeton secrets backend is empty: it would be asked for every id")
        self._hosts = dict(hosts or {})
        self._min_ttl = min_ttl
        self._team_apps = team_apps
        self._given = {"JETON_URL": url, "JETON_CLIENT_ID": client_id, "JETON_CLIENT_SECRET_FILE": client_secret_file}
        self._broker = broker
        self._sources: dict[tuple[str, ...], TokenSource] = {}

    def get_conn_value(self, conn_id: str, team_name: str | None = None) -> str | None:
        """A connection as JSON: the token as its password, and as the bearer header that `HttpHook` sends."""
        token = self._token("connection", conn_id, team_name)
        if token is None:
            return None
        return json.dumps(
            {
                "conn_type": "http",
                "host": self._hosts.get(token.connector) or token.extra.get("instance_url"),
                "password": token.access_token,
                "extra": {"Authorization": f"Bearer {token.access_token}"},
            }
        )

    def get_variable(self, key: str, team_name: str | None = None) -> str | None:
        """The token itself."""
        return _text(self._token("variable", key, team_name))

    def get_config(self, key: str) -> str | None:
        """The token itself, for options that end in `_secret`."""
        return _text(self._token("config", key, None))

    def _token(self, kind: str, name: str, team: str | None) -> HandedToken | None:
        prefix = self._prefixes[kind]
        if prefix is None or not name.startswith(prefix):
            return None
        place = tuple(name[len(prefix) :].split("/"))
        if len(place) not in (2, 3) or not all(place) or not self._may_use(team, place[0]):
            return None
        try:
            return self._source(place).token()
        except JetonError as error:
            # Airflow goes on to the next backend and says in the end that there is no such id.
            LOG.warning("jeton has no token for the %s `%s`: %s", kind, name, error)
            raise

    def _may_use(self, team: str | None, app: str) -> bool:
        if team is None:
            return True
        return app == team if self._team_apps is None else app in self._team_apps.get(team, ())

    def _source(self, place: tuple[str, ...]) -> TokenSource:
        # No lock, since Airflow forks: two threads may make one each, and the first that is kept serves both.
        found = self._sources.get(place)
        if found is not None:
            return found
        if self._broker is None:
            self._broker = Broker(self._settings())
        if len(self._sources) >= _MOST_SOURCES:
            self._sources.clear()
        app, connector, *flow = place
        made = TokenSource(app, connector, flow=flow[0] if flow else None, min_ttl=self._min_ttl, broker=self._broker)
        return self._sources.setdefault(place, made)

    def _settings(self) -> Settings:
        environ = dict(os.environ)
        given = {name: value for name, value in self._given.items() if value is not None}
        if "JETON_CLIENT_SECRET_FILE" in given:
            environ.pop("JETON_CLIENT_SECRET", None)
            environ.pop("JETON_CREDENTIAL", None)
        return Settings.from_env({**environ, **given})


def _text(token: HandedToken | None) -> str | None:
    return None if token is None else str(token.access_token)
