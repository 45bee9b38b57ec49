"""Where is the broker, and as whom does this program speak to it?

Plain http is refused but for loopback, because the client secret travels in the first request.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
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
    scope: str | None = None
    """What to ask for at the broker itself, separated by spaces; else all that the client may have there."""

    def __post_init__(self) -> None:
        # Whoever passes plain text gets it muted, too.
        object.__setattr__(self, "client_secret", Secret(self.client_secret))
        object.__setattr__(self, "url", _base_url(self.url, self.plain_http))

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Reads `JETON_URL`, `JETON_CLIENT_ID`, and `JETON_CLIENT_SECRET` or `JETON_CLIENT_SECRET_FILE`.

        Or `JETON_CREDENTIAL=env:NAME`: the variable holds what `jeton client add-service` delivers, which may also say
        where the broker is; a reference to another store is refused. `REQUESTS_CA_BUNDLE` names certificates, as for
        `requests`. Raises `FixConfigurationError` that names the variable which is missing or unusable.
        """
        environ = os.environ if environ is None else environ
        reference = _find(environ, "JETON_CREDENTIAL")
        if reference is not None:
            return cls(**_delivered(environ, reference.strip()), ca_file=_find(environ, "REQUESTS_CA_BUNDLE"))
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
        raise misconfigured(
            "JETON_URL is not a usable URL: it must start with https://, "
            "or with http:// where the broker is on this machine"
        )
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
        raise misconfigured("the environment variable JETON_CLIENT_SECRET is not set")
    return secret_from(path, "JETON_CLIENT_SECRET_FILE")


def _delivered(environ: Mapping[str, str], reference: str) -> dict[str, Any]:
    """What the variable holds that a reference names; none of it is told where it is no credential."""
    if _find(environ, "JETON_CLIENT_SECRET") is not None or _find(environ, "JETON_CLIENT_SECRET_FILE") is not None:
        raise misconfigured("JETON_CREDENTIAL and a JETON_CLIENT_SECRET are set: keep one")
    store, _, name = reference.partition(":")
    if store != "env":
        raise misconfigured(f"JETON_CREDENTIAL: {_unread(reference)}")
    document = _find(environ, name)
    if document is None:
        raise misconfigured(f"JETON_CREDENTIAL: the environment variable {_shown(name)} is not set")
    read = _read(document, _find(environ, "JETON_URL"))
    if isinstance(read, str):
        # Out of sight of what could not be read.
        raise misconfigured(f"JETON_CREDENTIAL: what {_shown(name)} holds {read}")
    return read


def _unread(reference: str) -> str:
    """Why a reference is not read here, and what to do. What may be a secret itself is not repeated."""
    store, colon, rest = reference.partition(":")
    way = "start the program by `jeton exec`, which reads every store and gives it a token of a provider"
    if not colon or store not in ("file", "aws-sm", "azure-kv", "vault"):
        return "this is no secret store reference known here: write env:NAME, the variable that holds the credential"
    longest = max(len(part) for part in re.split("[/#:.]", rest))
    fits = len(rest) <= 700 and longest < 32 and re.fullmatch("[!-~]+", rest) is not None
    shown = f"`{store}:{rest if fits else '...'}`"
    if store == "file":
        return f"{shown} is a sealed file, which this package cannot open: {way}"
    return (
        f"{shown} is in a store that this package does not ask: have your platform put what is kept there into a "
        f"variable and write env:NAME, or {way}"
    )


def _shown(name: str) -> str:
    """A name as it may be repeated: one that is as long as a secret may be one."""
    fits = len(name) < 32 and name.isascii() and name.replace("_", "a").isalnum()
    return name if fits else "that it names"


def _read(document: str, url: str | None) -> dict[str, Any] | str:
    """The settings, or what is wrong."""
    try:
        fields = json.loads(document)
    except (ValueError, RecursionError):
        return "is no credential"
    if not isinstance(fields, dict):
        return "is no credential"
    if "client-id" in fields:
        if url is None:
            return "is a pair of client-id and client-secret, which needs JETON_URL beside it"
        found = {"url": url, "client_id": fields["client-id"], "client_secret": fields.get("client-secret")}
    elif fields.get("flow") != "client_credentials":
        return "is no credential, or has a flow that is not known here"
    else:
        found = {"url": url or fields.get("issuer"), **{key: fields.get(key) for key in ("client_id", "client_secret")}}
    if not all(
        isinstance(value, str) and value.isascii() and value.isprintable() and value for value in found.values()
    ):
        return "has no usable issuer, client_id and client_secret"
    # What is kept may be for a resource server; here the broker itself is meant.
    scope = fields.get("scope") if fields.get("audience") is None else None
    return {**found, "scope": scope if isinstance(scope, str) else None}


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
