"""Which public keys does an issuer sign with, and when is it asked for them?

One fetch at a time, in a thread of its own, and at most one every 30 s (5 s while no key is known), however many tokens
name keys that nobody knows. A fetch that fails leaves the keys as they were: an issuer that is down locks nobody out.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import threading
import time
from concurrent.futures import Future
from typing import Any
from urllib.parse import urlsplit

import jwt
import requests
from urllib3.exceptions import HTTPError

from .errors import misconfigured
from .settings import is_sendable
from .wire import read

LOG = logging.getLogger(__name__)

INTERVAL = 30.0
INTERVAL_EMPTY = 5.0
MAX_AGE = 3600.0
_DOCUMENT_LIMIT = 256 * 1024
_SUFFIX = "/.well-known/openid-configuration"

# What a key must be to verify with an algorithm: the members of its JWK.
_KINDS = {
    "ES256": {"kty": "EC", "crv": "P-256"},
    "RS256": {"kty": "RSA"},
    "PS256": {"kty": "RSA"},
    "EdDSA": {"kty": "OKP", "crv": "Ed25519"},
}
ALGORITHMS = tuple(_KINDS)


@dataclasses.dataclass(frozen=True)
class _Known:
    issuer: str
    keys: tuple[dict[str, Any], ...]
    fetched_at: float


class IssuerKeys:
    """The keys of an issuer, found through its discovery document (OpenID Connect Discovery 1.0 §4).

    The document's issuer must be the document's address without `/.well-known/...`, or `issuer` where that is given
    (a document that is read under an internal name).
    """

    def __init__(self, open_id_connect_url: str, *, issuer: str | None = None, ca_file: str | None = None) -> None:
        """Sends nothing yet."""
        if issuer is None and not open_id_connect_url.endswith(_SUFFIX):
            raise misconfigured(f"open_id_connect_url must end in {_SUFFIX}, or `issuer` must be given")
        _require_sendable(open_id_connect_url)
        self._url = open_id_connect_url
        base = open_id_connect_url.removesuffix(_SUFFIX)
        self._issuers = (base, base + "/") if issuer is None else (issuer,)
        self._ca_file = ca_file
        self._known: _Known | None = None
        self._board()
        self._asked_at: float | None = None
        self._failed = False

    def _board(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._running: Future[None] | None = None

    @property
    def issuer(self) -> str | None:
        """The issuer, once its document was read."""
        return self._known.issuer if self._known else None

    @property
    def failed(self) -> bool:
        """Whether the last fetch failed, so that a key nobody knows may still be a good one."""
        return self._failed

    def find(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        """The key that `kid` names, or the only one that fits; refreshes in the background what has grown old."""
        known = self._known
        if known is None:
            return None
        if time.monotonic() - known.fetched_at >= MAX_AGE:
            self.fetch()
        fitting = [key for key in known.keys if _fits(key, algorithm)]
        named = fitting if kid is None else [key for key in fitting if key.get("kid") == kid]
        if len(named) != 1:
            return None
        return jwt.PyJWK(named[0], algorithm=algorithm)

    def fetch(self) -> Future[None] | None:
        """Starts a fetch or joins the one under way; none where it is too soon. The future never fails."""
        if self._pid != os.getpid():
            # A forked process has no thread that would land.
            self._board()
        with self._lock:
            if self._running is not None:
                return self._running
            now = time.monotonic()
            interval = INTERVAL_EMPTY if self._known is None else INTERVAL
            if self._asked_at is not None and now - self._asked_at < interval:
                return None
            self._asked_at = now
            landing: Future[None] = Future()
            # A caller that gives up cancels nothing: others wait for it.
            landing.set_running_or_notify_cancel()
            self._running = landing
        threading.Thread(target=self._fly, args=(landing,), name="jeton-keys", daemon=True).start()
        return landing

    def _fly(self, landing: Future[None]) -> None:
        try:
            self._known = self._read()
            self._failed = False
        except (
            OSError,  # Those of `requests` are of this kind.
            HTTPError,
            ValueError,
            TypeError,
            KeyError,
            RecursionError,
        ) as error:
            self._failed = True
            told = str(error) if type(error) is ValueError else type(error).__name__
            LOG.warning("could not fetch the keys of %s (%s); the ones known stay in use", self._url, told)
        finally:
            with self._lock:
                self._running = None
            landing.set_result(None)

    def _read(self) -> _Known:
        document = self._get(self._url)
        issuer = document["issuer"]
        if issuer not in self._issuers:
            raise ValueError("its document names another issuer")
        address = document["jwks_uri"]
        if not isinstance(address, str) or not is_sendable(urlsplit(address)):
            raise ValueError("the address of its keys is not https")
        keys = tuple(key for key in self._get(address)["keys"] if isinstance(key, dict) and _is_usable(key))
        if not keys:
            raise ValueError("it has no key that can be used")
        return _Known(issuer, keys, time.monotonic())

    def _get(self, url: str) -> dict[str, Any]:
        deadline = time.monotonic() + 10
        with requests.Session() as session:
            session.trust_env = False
            with session.get(
                url, timeout=(5, 10), allow_redirects=False, stream=True, verify=self._ca_file or True
            ) as response:
                if response.status_code != 200:
                    raise ValueError(f"status {response.status_code}")
                value = json.loads(read(response, _DOCUMENT_LIMIT, deadline))
        if not isinstance(value, dict):
            raise ValueError("no JSON object")
        return value


def _fits(key: dict[str, Any], algorithm: str) -> bool:
    kind = _KINDS[algorithm]
    return all(key.get(name) == value for name, value in kind.items()) and key.get("alg", algorithm) == algorithm


def _is_usable(key: dict[str, Any]) -> bool:
    """Whether it verifies with an algorithm of ours: an issuer may publish keys for others."""
    if key.get("use", "sig") != "sig" or "verify" not in key.get("key_ops", ["verify"]):
        return False
    algorithm = next((name for name in ALGORITHMS if _fits(key, name)), None)
    if algorithm is None:
        return False
    try:
        parsed = jwt.PyJWK(key, algorithm=algorithm)
    except (jwt.PyJWTError, ValueError, TypeError):
        return False
    return key["kty"] != "RSA" or getattr(parsed.key, "key_size", 0) >= 2048


def _require_sendable(url: str) -> None:
    parts = urlsplit(url)
    if not is_sendable(parts) or parts.username is not None:
        raise misconfigured("open_id_connect_url must be https (http on loopback only) without credentials")
