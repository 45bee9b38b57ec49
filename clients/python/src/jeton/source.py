"""How long does a program use a token before it asks the broker again?

Until `guaranteed_until`, since no refresh of the broker ends it before. A token without a known expiry is asked for
again every five minutes, so that a new consent is noticed.
"""

from __future__ import annotations

import dataclasses
import time

from .broker import Broker, default_broker
from .errors import RetryError
from .flight import Flight
from .tokens import HandedToken

_UNKNOWN_FOR = 300.0
_DEGRADED_FOR = 60.0
_SETTLED_FOR = 60.0


@dataclasses.dataclass(frozen=True)
class _Held:
    token: HandedToken
    until: float
    """When the broker is asked again (`time.monotonic`)."""
    ends: float
    """When the token itself ends."""
    settled: float = 0.0
    """Until when the broker need not be told again that this token was refused."""


class TokenSource:
    """The token of one connection, kept for as long as it is good. All threads of a program may use it."""

    def __init__(
        self,
        app_id: str,
        connector: str,
        *,
        flow: str | None = None,
        min_ttl: int | None = None,
        broker: Broker | None = None,
    ) -> None:
        """Sends nothing yet. Without `broker` it is the one that the environment names.

        With `min_ttl` each token that is given is good for at least so many seconds more.
        """
        self.app_id = app_id
        self.connector = connector
        self.flow = flow
        self.min_ttl = min_ttl
        self._broker = broker
        self._held: _Held | None = None
        self._flight: Flight[HandedToken] = Flight()
        self._renewal: Flight[HandedToken] = Flight()

    def __repr__(self) -> str:
        return f"TokenSource({self.app_id!r}, {self.connector!r}, flow={self.flow!r})"

    def token(self) -> HandedToken:
        """A token that works now. Raises `JetonError`."""
        return self._kept() or self._flight.join(lambda: self._kept() or self._asked())

    def renewed(self, refused: HandedToken) -> HandedToken:
        """What to use after the API refused `refused` (401): a better token where there is one, else the same.

        Raises `JetonError`.
        """
        return self._after(refused) or self._renewal.join(lambda: self._after(refused) or self._told(refused))

    def _kept(self) -> HandedToken | None:
        held = self._held
        return held.token if held is not None and time.monotonic() < held.until else None

    def _asked(self) -> HandedToken:
        sent_at = time.monotonic()
        try:
            token = self._ask(None)
        except RetryError:
            held = self._held
            # A broker that is away takes no living token from anybody, unless more was asked than it can give.
            if held is None or self.min_ttl is not None or time.monotonic() >= held.ends:
                raise
            return held.token
        self._hold(token, sent_at)
        return token

    def _after(self, refused: HandedToken) -> HandedToken | None:
        held = self._held
        if held is None or time.monotonic() >= held.until:
            return None
        if held.token.generation > refused.generation or time.monotonic() < held.settled:
            return held.token
        return None

    def _told(self, refused: HandedToken) -> HandedToken:
        sent_at = time.monotonic()
        token = self._ask(refused.generation)
        # Not confirmed, or throttled: the broker has looked, and would say the same again.
        same = token.generation == refused.generation
        self._hold(token, sent_at, settled=sent_at + _SETTLED_FOR if same else 0.0)
        return token

    def _ask(self, rejected: int | None) -> HandedToken:
        broker = self._broker or default_broker()
        return broker.retrieve_token(
            self.app_id, self.connector, flow=self.flow, min_ttl=self.min_ttl, rejected=rejected
        )

    def _hold(self, token: HandedToken, sent_at: float, settled: float = 0.0) -> None:
        ends = sent_at + (_UNKNOWN_FOR if token.expires_in is None else token.expires_in)
        if token.guaranteed_for is not None:
            until = sent_at + token.guaranteed_for - (self.min_ttl or 0)
        else:
            until = min(ends, sent_at + (_DEGRADED_FOR if token.degraded else _UNKNOWN_FOR))
        self._held = _Held(token, until, ends, settled)
