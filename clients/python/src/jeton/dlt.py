"""How does a dlt pipeline's REST client carry a token of a connection?

For `RESTClient(auth=...)` and `rest_api` sources. It asks the broker when it needs a token, and again after a 401.
"""

# No `from __future__ import annotations`: dlt reads the annotations of a specification as types.

from typing import Annotated, Any, Optional

import requests
from dlt.common.configuration import configspec
from dlt.common.configuration.specs.base_configuration import NotResolved
from dlt.common.typing import TSecretStrValue
from dlt.sources.helpers.rest_client.auth import OAuth2AuthBase

from .auth import attach
from .broker import Broker, default_broker
from .secret import Secret
from .settings import Settings
from .source import TokenSource


@configspec
class JetonAuth(OAuth2AuthBase):
    """`JetonAuth(app_id="acme", connector="github")`, or from dlt's configuration and secrets.

    `url`, `client_id` and `client_secret` come together, or all from the environment (`JETON_URL`, ...).
    """

    app_id: str = None  # type: ignore[assignment] # required: dlt resolves it
    connector: str = None  # type: ignore[assignment] # required: dlt resolves it
    flow: Optional[str] = None  # noqa: UP045 - dlt reads `Optional`
    min_ttl: Optional[int] = None  # noqa: UP045
    url: Optional[str] = None  # noqa: UP045
    client_id: Optional[str] = None  # noqa: UP045
    client_secret: Optional[TSecretStrValue] = None  # noqa: UP045
    access_token: Annotated[Optional[TSecretStrValue], NotResolved()] = None  # type: ignore[assignment] # noqa: UP045

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return attach(request, self.source())

    def source(self) -> TokenSource:
        """Where its tokens come from; made at the first request, when dlt has resolved the fields."""
        found: Any = self.__dict__.get("_source")
        if isinstance(found, TokenSource):
            return found
        broker = default_broker() if self.url is None else Broker(self._settings(self.url))
        made = TokenSource(self.app_id, self.connector, flow=self.flow, min_ttl=self.min_ttl, broker=broker)
        # Two threads may make one each; the first that is kept serves both.
        kept: TokenSource = self.__dict__.setdefault("_source", made)
        return kept

    def _settings(self, url: str) -> Settings:
        return Settings(url, self.client_id or "", Secret(self.client_secret or ""))
