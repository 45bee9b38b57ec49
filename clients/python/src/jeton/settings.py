"""Where is the broker, and as whom does this program speak to it?

Plain http is refused but for loopback, because the client secret travels in the first request.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from .errors import misconfigured
from .secret import Secret


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a `Broker` needs to know; its `repr` shows no secret."""

    url: str
    """The broker's public URL, which may have a path."""
    client_id: str
    client_secret: Secret
    ca_file: str | None = None
    """Certificates of authorities to believe; else those that `requests` brings."""
    plain_http: bool = False
    """Allows plain http to a host that is not loopback."""
    retries: int = 3
    """How often a call is sent again after a connection error, 429 or 503."""
    patience: float = 30.0
    """Seconds that all pauses of one call may last together; a longer `Retry-After` ends the call."""
    first_pause: float = 0.25
    """Seconds before the first repetition where the broker names none; it doubles each time."""
    timeout: float = 60.0
    """Seconds that one request may take; the broker itself may wait 30 for a refresh under way."""

    def __post_init__(self) -> None:
        # Whoever passes plain text gets it muted, too.
        object.__setattr__(self, "client_secret", Secret(self.client_secret))
        object.__setattr__(self, "url", _base_url(self.url, self.plain_http))

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Reads `JETON_URL`, `JETON_CLIENT_ID`, and `JETON_CLIENT_SECRET` or `JETON_CLIENT_SECRET_FILE`.

        `REQUESTS_CA_BUNDLE` names certificates, as for `requests`. Raises `FixConfigurationError` that names the
        variable which is missing or unusable.
        """
        environ = os.environ if environ is None else environ
        return cls(
            url=_required(environ, "JETON_URL"),
            client_id=_required(environ, "JETON_CLIENT_ID"),
            client_secret=_secret(environ),
            ca_file=_find(environ, "REQUESTS_CA_BUNDLE"),
        )


def is_sendable(url: SplitResult) -> bool:
    """Whether a token may travel there: https, or http on loopback."""
    return url.scheme == "https" or (url.scheme == "http" and is_loopback(url.hostname))


def is_loopback(host: str | None) -> bool:
    if host is None:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _base_url(text: str, plain_http: bool) -> str:
    try:
        url = urlsplit(text.strip())
        # Reading the port is what checks it.
        usable = url.scheme in ("http", "https") and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise misconfigured("JETON_URL is not a usable URL: it must start with https://")
    if url.username is not None or url.password is not None:
        raise misconfigured("JETON_URL is not a usable URL: it must not carry a user name or password")
    if url.query or url.fragment:
        raise misconfigured("JETON_URL is not a usable URL: it must not carry a query or fragment")
    if not (plain_http or is_sendable(url)):
        raise misconfigured(f"{url.scheme}://{url.netloc} is plain http on a host that is not loopback: use https")
    return text.strip().rstrip("/")


def _find(environ: Mapping[str, str], name: str) -> str | None:
    value = environ.get(name, "")
    return value if value.strip() else None


def _required(environ: Mapping[str, str], name: str) -> str:
    value = _find(environ, name)
    if value is None:
        raise misconfigured(f"the environment variable {name} is not set")
    return value.strip()


def _secret(environ: Mapping[str, str]) -> Secret:
    secret = _find(environ, "JETON_CLIENT_SECRET")
    path = _find(environ, "JETON_CLIENT_SECRET_FILE")
    if secret is not None and path is not None:
        raise misconfigured("both JETON_CLIENT_SECRET and JETON_CLIENT_SECRET_FILE are set: keep one")
    if secret is not None:
        return Secret(secret.strip())
    if path is None:
        other = "; JETON_CREDENTIAL is not read by this package" if _find(environ, "JETON_CREDENTIAL") else ""
        raise misconfigured(f"the environment variable JETON_CLIENT_SECRET is not set{other}")
    return secret_from(path, "JETON_CLIENT_SECRET_FILE")


def secret_from(path: str, name: str) -> Secret:
    """The secret in a file, without the line's end; `name` is how the setting is called."""
    try:
        secret = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise misconfigured(f"{name}: cannot read {path}: {reason}") from None
    if not secret:
        raise misconfigured(f"{name}: cannot read {path}: it is empty")
    return Secret(secret)
