"""What does a job get when it asks for a token?"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .secret import Secret

_INSTANT = re.compile(r"([0-9-]{10}T[0-9:]{8})(?:\.([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})")


@dataclasses.dataclass(frozen=True)
class Degraded:
    """Why a living token is the last for now."""

    code: str
    since: str | None = None
    detail: str | None = None

    def __str__(self) -> str:
        since = f", since {self.since}" if self.since else ""
        return f"{(self.detail or 'something is wrong').rstrip('.')} ({self.code}{since})"


@dataclasses.dataclass(frozen=True)
class HandedToken:
    """A provider's token as handed out; its `repr` does not show it."""

    access_token: Secret
    """The token to send to the API."""
    token_type: str
    app_id: str
    connector: str
    flow: str
    generation: int
    """Counts the token sets of the connection; repeat it in `rejected`."""
    refreshed: bool
    """Whether this call had it refreshed."""
    expires_in: float | None = None
    """Seconds left when it was handed out; none when no expiry is known."""
    expires_at: datetime | None = None
    guaranteed_until: datetime | None = None
    """Until when the broker promises that it works."""
    scope: str | None = None
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    """Further fields of the provider's answer, such as `instance_url`."""
    degraded: Degraded | None = None
    """Set when something is wrong though the token lives."""

    @property
    def guaranteed_for(self) -> float | None:
        """Seconds from when it was handed out to `guaranteed_until`, whatever the clock of this machine says."""
        if self.expires_in is None or self.expires_at is None or self.guaranteed_until is None:
            return None
        return self.expires_in - (self.expires_at - self.guaranteed_until).total_seconds()

    @classmethod
    def parse(cls, body: bytes) -> HandedToken | None:
        """None where it cannot be read: an error is raised where the answer is not in sight of whoever prints it."""
        try:
            fields = json.loads(body)
            degraded = fields.get("degraded")
            return cls(
                access_token=Secret(text(fields["access_token"])),
                token_type=text(fields["token_type"]),
                app_id=text(fields["app_id"]),
                connector=text(fields["connector"]),
                flow=text(fields["flow"]),
                generation=int(fields["generation"]),
                refreshed=bool(fields["refreshed"]),
                expires_in=None if fields.get("expires_in") is None else float(fields["expires_in"]),
                expires_at=instant(fields.get("expires_at")),
                guaranteed_until=instant(fields.get("guaranteed_until")),
                scope=fields.get("scope"),
                extra=dict(fields.get("extra") or {}),
                degraded=degraded and Degraded(degraded["code"], degraded.get("since"), degraded.get("detail")),
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None


@dataclasses.dataclass(frozen=True)
class ConnectionStatus:
    """The state of a connection, without its token."""

    app_id: str
    connector: str
    flow: str
    state: str
    """`active`, `misconfigured`, `reauthorization_required` or `revoked`."""
    reason: str | None
    since: datetime | None
    generation: int | None
    expires_at: datetime | None
    account: Any
    connected_by: Any
    last_refresh_at: datetime | None
    last_error: Mapping[str, Any] | None

    @classmethod
    def parse(cls, body: bytes) -> ConnectionStatus | None:
        """None where it cannot be read."""
        try:
            told = json.loads(body)
            fields: dict[str, Any] = {field.name: told[field.name] for field in dataclasses.fields(cls)}
            times = {name: instant(fields[name]) for name in ("since", "expires_at", "last_refresh_at")}
            return cls(**{**fields, **times})
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None


def instant(told: str | None) -> datetime | None:
    """A time of the contract (RFC 3339); Python 3.10 knows no `Z`, and fractions of three or six digits alone."""
    if told is None:
        return None
    parts = _INSTANT.fullmatch(told)
    if parts is None:
        raise ValueError
    whole, fraction, offset = parts.groups()
    return datetime.fromisoformat(f"{whole}.{(fraction or '')[:6]:0<6}{'+00:00' if offset == 'Z' else offset}")


def text(value: object) -> str:
    """A member that must be text."""
    if not isinstance(value, str):
        raise TypeError
    return value
