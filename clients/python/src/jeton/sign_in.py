"""How does this program sign in to the broker once, however many of its threads ask?

A bearer is kept until it is nearly over, and dropped early only by the caller that saw this very one refused.
"""

from __future__ import annotations

import dataclasses
import json
import time
from base64 import b64encode
from urllib.parse import quote_plus

from .errors import garbled
from .flight import Flight
from .secret import Secret
from .settings import Settings
from .tokens import text
from .wire import Answer, Header, exchange, persist


@dataclasses.dataclass(frozen=True, eq=False)
class Bearer:
    """The access token of one sign-in."""

    token: Secret
    scope: str | None
    until: float
    """When it is nearly over (`time.monotonic`)."""

    def lives(self) -> bool:
        return time.monotonic() < self.until

    def header(self) -> Header:
        return Header("Bearer", self.token)


class SignIn:
    """The program's sign-in (`client_credentials`, RFC 6749 §4.4), at the broker or for a resource (RFC 8707)."""

    def __init__(self, settings: Settings, resource: str | None = None) -> None:
        self._settings = settings
        self._resource = resource
        self._flight: Flight[Bearer] = Flight()
        self._held: Bearer | None = None

    def bearer(self) -> Bearer:
        """The living bearer, or the one that the request under way brings."""
        held = self._held
        return held if held is not None and held.lives() else self._flight.join(self._renewed)

    def forget(self, refused: Bearer) -> None:
        """Drops `refused`, unless another thread replaced it already."""
        if self._held is refused:
            self._held = None

    def _renewed(self) -> Bearer:
        held = self._held
        if held is None or not held.lives():
            held = self._held = self._signed_in()
        return held

    def _signed_in(self) -> Bearer:
        sent_at = time.monotonic()
        # A sign-in changes nothing at the broker, so it may be repeated.
        answer = persist(self._settings, self._ask)
        if answer.status != 200:
            raise answer.error()
        bearer = _bearer(answer, sent_at)
        if bearer is None:
            raise garbled("token")
        return bearer

    def _ask(self) -> Answer:
        form = {"grant_type": "client_credentials"}
        if self._resource is not None:
            form["resource"] = self._resource
        elif self._settings.scope is not None:
            form["scope"] = self._settings.scope
        return exchange(self._settings, "POST", "/o/token/", self._basic(), form=form)

    def _basic(self) -> Header:
        # RFC 6749 §2.3.1: both parts are form-urlencoded before they are joined.
        pair = f"{quote_plus(self._settings.client_id)}:{quote_plus(self._settings.client_secret)}"
        return Header("Basic", b64encode(pair.encode()).decode())


def _bearer(answer: Answer, sent_at: float) -> Bearer | None:
    """None where it cannot be read: an error is raised where the answer is not in sight of whoever prints it."""
    try:
        fields = json.loads(answer.body)
        token, lifetime = Secret(text(fields["access_token"])), max(0.0, float(fields.get("expires_in") or 0))
        scope = fields.get("scope")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    # Renewed a minute early, but at most a fifth of its life.
    return Bearer(token, scope if isinstance(scope, str) else None, sent_at + lifetime - min(60.0, lifetime / 5))
