"""Is an access token good, and what does it say?

The signature and the claims are checked by PyJWT; what a token may look like before that is checked here, by the same
rules as in the Rust crate `jeton-guard`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import jwt

from .errors import misconfigured
from .keys import ALGORITHMS, IssuerKeys

LOG = logging.getLogger(__name__)

MAX_TOKEN_BYTES = 8 * 1024
MAX_LEEWAY = 60.0
# Keys come from the issuer alone, and no extension is known that could be critical.
_FOREIGN = ("jwk", "jku", "x5u", "x5c", "crit", "enc", "zip", "b64")
# By these an issuer that signs everything as `JWT` gives its ID and logout tokens away.
_MARKS = ("at_hash", "c_hash", "nonce", "events")
_OTHERS = ("id", "refresh", "offline", "logout")
# The last second of the year 9999: beyond it a number is no time, and a token with it would never end.
_END_OF_TIME = 253_402_300_799
_MOST_SHOWN = 300


class TokenRefused(Exception):
    """The token is not one to accept; the text says why, without a word of the token."""

    mismatch: str | None = None
    """For the log, where issuer or audience are not the expected ones: what was expected, and what the issuer wrote."""


class KeysUnavailable(Exception):
    """Nobody can say whether the token is good: the issuer's keys cannot be had. Answer 503, not 401."""


class _UnknownKey(TokenRefused):
    pass


class TokenVerifier:
    """Verifies access tokens of one issuer for one audience; all threads and tasks may use it."""

    def __init__(
        self,
        keys: IssuerKeys,
        audience: str,
        *,
        algorithms: Sequence[str] = ("ES256", "RS256"),
        leeway: float = 30.0,
        accept_plain_jwt: bool = False,
    ) -> None:
        """`leeway` forgives clocks that differ by so many seconds, 60 at most.

        `accept_plain_jwt` also takes `typ` `JWT` or none, as issuers such as Keycloak mark their access tokens.
        """
        if not audience:
            raise misconfigured("no audience is set: such a verifier would accept tokens meant for others")
        if not algorithms or not set(algorithms) <= set(ALGORITHMS):
            raise misconfigured(f"algorithms must be among {', '.join(ALGORITHMS)}")
        if not 0 <= leeway <= MAX_LEEWAY:
            raise misconfigured("the leeway must be 0 to 60 seconds")
        self._keys = keys
        self._audience = audience
        self._algorithms = tuple(algorithms)
        self._leeway = leeway
        self._plain = accept_plain_jwt

    def verify(self, token: str) -> dict[str, Any]:
        """The claims of a good token. Raises `TokenRefused` or `KeysUnavailable`."""
        try:
            return self._judged(token)
        except _UnknownKey as error:
            fetch = self._keys.fetch()
            if fetch is None:
                raise self._unknown(error) from None
            fetch.result()
        return self._judged_again(token)

    async def verify_async(self, token: str) -> dict[str, Any]:
        """The same, without blocking the event loop."""
        try:
            return self._judged(token)
        except _UnknownKey as error:
            fetch = self._keys.fetch()
            if fetch is None:
                raise self._unknown(error) from None
            await asyncio.wrap_future(fetch)
        return self._judged_again(token)

    def verify_id_token(self, token: str, claims: Mapping[str, Any], client_id: str | None = None) -> dict[str, Any]:
        """The claims of an ID token that came with this access token, whose claims are `claims`.

        It must be signed by the same issuer, speak of the same person and be for the client that signed them in:
        `client_id`, else the one that the access token names, else its audience. `at_hash` is not compared: proxies
        keep the first ID token after they have refreshed the access token. Its keys are not fetched anew: the access
        token has just been verified.
        """
        told, header = self._signed(token, {"require": ["exp", "iat", "iss", "aud", "sub"], "verify_aud": False})
        if _kind(header) == "at+jwt":
            raise TokenRefused("an access token came as ID token")
        if told["sub"] != claims["sub"]:
            raise TokenRefused("the ID token speaks of another person than the access token")
        client = client_id or claims.get("azp") or claims.get("client_id") or self._audience
        audience = told["aud"] if isinstance(told["aud"], list) else [told["aud"]]
        # Of several audiences one is the client that asked; which, only `azp` tells.
        party = told.get("azp", client if len(audience) == 1 else None)
        if client not in audience or party != client:
            raise TokenRefused("the ID token is for another client than the access token")
        return told

    def _judged_again(self, token: str) -> dict[str, Any]:
        try:
            return self._judged(token)
        except _UnknownKey as error:
            raise self._unknown(error) from None

    def _unknown(self, error: TokenRefused) -> Exception:
        if self._keys.issuer is None or self._keys.failed:
            return KeysUnavailable("the keys of the issuer cannot be had")
        return TokenRefused(str(error))

    def _judged(self, token: str) -> dict[str, Any]:
        claims, header = self._signed(token, {"require": ["exp", "iss", "aud", "sub"]}, audience=self._audience)
        if _kind(header) != "at+jwt" and (not self._plain or _is_other_token(claims)):
            raise TokenRefused("it is not an access token")
        return claims

    def _signed(
        self, token: str, options: dict[str, Any], audience: str | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        header = _header(token)
        algorithm = header.get("alg")
        if algorithm not in self._algorithms:
            raise TokenRefused("its algorithm is not accepted")
        kid = header.get("kid")
        key = self._keys.find(kid, algorithm)
        if key is None:
            raise _UnknownKey("no key of the issuer bears it out")
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=audience,
                issuer=self._keys.issuer,
                leeway=self._leeway,
                options=options,  # type: ignore[arg-type] # a TypedDict there
            )
        except jwt.ImmatureSignatureError:
            # What it says is the issuer's word: its signature was good.
            told = json.loads(_part(token.split(".")[1]))
            if not _times_are_readable(told):
                raise TokenRefused("it cannot be read") from None
            self._log_skew(told)
            raise TokenRefused("it is not valid yet") from None
        except jwt.InvalidSignatureError:
            # A token that names no key may be signed with a newer one.
            raise (_UnknownKey if kid is None else TokenRefused)("its signature is not good") from None
        except (jwt.InvalidAudienceError, jwt.InvalidIssuerError) as error:
            raise self._mismatch(token, type(error)) from None
        except jwt.PyJWTError as error:
            raise TokenRefused(_REASONS.get(type(error), "its signature or its claims are not good")) from None
        except (ValueError, TypeError, OverflowError, RecursionError):
            raise TokenRefused("it cannot be read") from None
        if not _times_are_readable(claims) or not claims["sub"] or not _details_are_readable(claims):
            raise TokenRefused("it cannot be read")
        return claims, header

    def _mismatch(self, token: str, kind: type[Exception]) -> TokenRefused:
        refused = TokenRefused(_REASONS[kind])
        # Its signature was good. What cannot be read tells nothing.
        with contextlib.suppress(ValueError, RecursionError):
            claims = json.loads(_part(token.split(".")[1]))
            name, expected = ("aud", self._audience) if kind is jwt.InvalidAudienceError else ("iss", self._keys.issuer)
            refused.mismatch = f"expected {name} {expected!r}, got {_cut(repr(claims.get(name)))}"
        return refused

    def _log_skew(self, claims: Mapping[str, Any]) -> None:
        skew = max(claims.get("nbf", 0), claims.get("iat", 0)) - time.time()
        LOG.warning(
            "clock skew: refused a token of %s that begins %.0f s in the future; check the clock of this host and of "
            "the issuer",
            self._keys.issuer,
            skew,
        )


def scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """The scopes of verified claims: `scope`, or the `scp` (text or list) of some issuers."""
    told = claims.get("scope", claims.get("scp", ""))
    lines = told if isinstance(told, list) else [told]
    return frozenset(word for line in lines if isinstance(line, str) for word in line.split(" ") if word)


_REASONS: dict[type[Exception], str] = {
    jwt.ExpiredSignatureError: "it has expired",
    jwt.InvalidAudienceError: "it is for another audience",
    jwt.InvalidIssuerError: "it is of another issuer",
    jwt.MissingRequiredClaimError: "it lacks a claim",
}


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def _header(token: str) -> dict[str, Any]:
    if len(token) > MAX_TOKEN_BYTES or not token.isascii() or token.count(".") != 2:
        raise TokenRefused("it is not a signed token")
    try:
        parts = [_part(part) for part in token.split(".")]
        header, _ = (json.loads(said, object_pairs_hook=_each_once) for said in parts[:2])
    except (ValueError, RecursionError):
        raise TokenRefused("it cannot be read") from None
    if not isinstance(header, dict) or not isinstance(header.get("kid"), (str, type(None))):
        raise TokenRefused("it cannot be read")
    foreign = next((name for name in _FOREIGN if name in header), None)
    if foreign is not None:
        raise TokenRefused(f"its header carries `{foreign}`, which is not accepted")
    if _kind(header) not in ("at+jwt", "jwt", None):
        raise TokenRefused("it is not an access token")
    return header


def _part(part: str) -> bytes:
    """What a part of a token encodes, as long as it is written in the one way there is (RFC 7515 §2)."""
    decoded = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if urlsafe_b64encode(decoded).rstrip(b"=").decode() != part:
        raise ValueError("written in another way")
    return decoded


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A member that comes twice is read differently by different readers (RFC 7515 §4, RFC 7519 §4)."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is repeated")
    return members


def _kind(header: Mapping[str, Any]) -> str | None:
    """What `typ` says; media types compare without case, and `application/` may be left out (RFC 7515 §4.1.9)."""
    typ = header.get("typ")
    return None if typ is None else str(typ).lower().removeprefix("application/")


def _is_other_token(claims: Mapping[str, Any]) -> bool:
    return any(name in claims for name in _MARKS) or str(claims.get("typ", "")).lower() in _OTHERS


def _times_are_readable(claims: Mapping[str, Any]) -> bool:
    times = [claims[name] for name in ("exp", "nbf", "iat") if name in claims]
    return all(isinstance(at, (int, float)) and not isinstance(at, bool) and abs(at) <= _END_OF_TIME for at in times)


def _details_are_readable(claims: Mapping[str, Any]) -> bool:
    """A confinement (RFC 9396) that cannot be read is not freedom; null is none."""
    details = claims.get("authorization_details")
    return details is None or (isinstance(details, list) and all(_is_readable(detail) for detail in details))


def _is_readable(detail: Any) -> bool:
    if not isinstance(detail, dict) or not isinstance(detail.get("type"), str):
        return False
    locations = detail.get("locations")
    readable = isinstance(locations, list) and all(isinstance(location, str) for location in locations)
    return readable or detail["type"] != "binb_token"


def claims_of_base64(value: str) -> dict[str, Any] | None:
    """The JSON object in a header as APISIX writes it (base64 of JSON, unsigned); none where it is no such thing."""
    try:
        found = json.loads(b64decode(value, validate=True))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
