"""Tokens of third-party APIs from a jeton broker.

`retrieve_token("github", "acme")` is the shortest way; `Broker` has every option, `ConnectorAuth` is for `requests`.
Integrations are modules of their own, which import what they fit: `jeton.toucan`, `jeton.airflow`, `jeton.dlt`,
`jeton.fastapi`.
"""

from .auth import ConnectorAuth
from .broker import Broker, default_broker, retrieve_token
from .errors import (
    ChangeRequestError,
    FixConfigurationError,
    JetonError,
    Problem,
    ReauthorizeError,
    RequestAccessError,
    RetryError,
)
from .secret import Secret
from .settings import Settings
from .source import TokenSource
from .tokens import ConnectionStatus, Degraded, HandedToken

__all__ = [
    "Broker",
    "ChangeRequestError",
    "ConnectionStatus",
    "ConnectorAuth",
    "Degraded",
    "FixConfigurationError",
    "HandedToken",
    "JetonError",
    "Problem",
    "ReauthorizeError",
    "RequestAccessError",
    "RetryError",
    "Secret",
    "Settings",
    "TokenSource",
    "default_broker",
    "retrieve_token",
]
