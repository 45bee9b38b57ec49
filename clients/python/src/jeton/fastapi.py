"""Who calls a FastAPI service behind a reverse proxy that signs people in and forwards their tokens?

For APISIX (`openid-connect`), mod_auth_openidc, oauth2-proxy and their like. The proxy is believed to have forwarded a
token, never what it says: every token is verified again. Whoever reaches the service past the proxy is refused.
"""

import ipaddress
import logging
import time
from collections.abc import Sequence
from typing import Any, Literal, TypedDict

from fastapi.exceptions import HTTPException
from fastapi.openapi.models import OpenIdConnect
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from .errors import misconfigured
from .keys import IssuerKeys
from .secret import Secret
from .verify import KeysUnavailable, TokenRefused, TokenVerifier, claims_of_base64

LOG = logging.getLogger(__name__)

_B64TOKEN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/")
# In bytes, as in Rust.
_MAX_ID_TOKEN, _MAX_REFRESH_TOKEN = 64 * 1024, 8 * 1024
# What an ID token may add: how a person is called (OpenID Connect Core 1.0 §5.1), never what a token is for.
_ABOUT_PEOPLE = frozenset(
    ("name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture")
) | frozenset(
    ("website", "email", "email_verified", "gender", "birthdate", "zoneinfo", "locale", "phone_number", "address")
)


class Identity(TypedDict):
    """Who calls, as its access token says."""

    claims: dict[str, Any]
    """Of the verified access token, and names from a signed ID token of the same person."""
    access_token: Secret
    id_token: Secret | None
    refresh_token: Secret | None


# Each reason is logged once in so many seconds, however many calls are refused for it.
_WARNED_FOR = 60.0


class _Refused(Exception):
    def __init__(self, why: str, *, absent: bool = False, logged: bool = False, mismatch: str | None = None) -> None:
        super().__init__(why)
        self.absent = absent
        self.logged = logged
        self.mismatch = mismatch


class OIDCProxyScheme(SecurityBase):
    """A security scheme: `Depends(OIDCProxyScheme(open_id_connect_url=..., audience=...))` gives an `Identity`.

    A call without a good token gets 401, or gives `None` where `auto_error` is false. Where the issuer's keys cannot be
    had and the token names one that is not known, it is 503, whatever `auto_error` says.
    """

    def __init__(
        self,
        *,
        open_id_connect_url: str,
        audience: str,
        id_token_header: str = "x-id-token",  # noqa: S107 - a name
        refresh_token_header: str = "x-refresh-token",  # noqa: S107
        auth_token_header: str = "Authorization",  # noqa: S107
        auth_token_in_authorization: bool = True,
        auto_error: bool = True,
        scheme_name: str | None = None,
        trusted_proxies: Sequence[str] | Literal["any_verified"] = ("127.0.0.0/8", "::1/128"),
        userinfo_header: str = "x-userinfo",
        client_id: str | None = None,
        issuer: str | None = None,
        algorithms: Sequence[str] = ("ES256", "RS256"),
        leeway: float = 30.0,
        ca_file: str | None = None,
        description: str | None = None,
    ) -> None:
        """Sends nothing yet.

        `auth_token_in_authorization`: `auth_token_header` holds `Bearer` and the token, else the token alone.
        `trusted_proxies`: addresses (CIDR) from which tokens are taken; by default this machine alone. With
        `"any_verified"` a verified access token is taken from anywhere, and nothing else that is forwarded.
        `client_id` is the proxy's at the issuer, for which ID tokens must be; by default the one that the access token
        names, else the audience.
        `issuer` is for a document that is read under another name than the issuer's own.
        """
        self.model = OpenIdConnect(openIdConnectUrl=open_id_connect_url, description=description)
        self.scheme_name = scheme_name or type(self).__name__
        self.auto_error = auto_error
        self._auth_header = auth_token_header
        self._with_scheme = auth_token_in_authorization
        self._id_header = id_token_header
        self._refresh_header = refresh_token_header
        self._userinfo_header = userinfo_header
        self._client_id = client_id
        self._proxies = None if trusted_proxies == "any_verified" else _networks(trusted_proxies)
        keys = IssuerKeys(open_id_connect_url, issuer=issuer, ca_file=ca_file)
        self._verifier = TokenVerifier(keys, audience, algorithms=algorithms, leeway=leeway, accept_plain_jwt=True)
        self._warned: dict[str, float] = {}

    async def __call__(self, request: HTTPConnection) -> Identity | None:
        try:
            return await self._identity(request)
        except _Refused as refused:
            self._warn(refused)
            if not self.auto_error:
                return None
            raise _unauthorized(refused) from None
        except KeysUnavailable:
            detail = {"code": "keys_unavailable", "detail": "the keys of the token's issuer cannot be had just now"}
            raise HTTPException(503, detail, headers={"Retry-After": "5"}) from None

    def _warn(self, refused: _Refused) -> None:
        """Says why calls are refused, which `auto_error=False` tells nobody. Reasons are few, and in our words."""
        why, now = str(refused), time.monotonic()
        if refused.absent or refused.logged or now < self._warned.get(why, 0.0):
            return
        self._warned[why] = now + _WARNED_FOR
        mismatch = f" ({refused.mismatch})" if refused.mismatch else ""
        LOG.warning("refused a call: %s%s; the same is not logged again for a minute", why, mismatch)

    async def _identity(self, request: HTTPConnection) -> Identity:
        token = self._access_token(request)
        forwarded = self._proxies is not None
        if forwarded:
            self._require_proxy(request)
        try:
            claims = await self._verifier.verify_async(token)
        except TokenRefused as error:
            raise _Refused(f"the token is refused: {error}", mismatch=error.mismatch) from None
        identity = Identity(claims=claims, access_token=Secret(token), id_token=None, refresh_token=None)
        if forwarded:
            self._add_forwarded(request, identity)
        return identity

    def _access_token(self, request: HTTPConnection) -> str:
        value = _one(request, self._auth_header)
        if value is None:
            raise _Refused("there is no token", absent=True)
        if self._with_scheme:
            scheme, _, value = value.partition(" ")
            if scheme.lower() != "bearer":
                raise _Refused("there is no bearer token", absent=True)
            value = value.lstrip(" ")
        if not _is_b64token(value):
            raise _Refused("the header does not hold exactly one token")
        return value

    def _require_proxy(self, request: HTTPConnection) -> None:
        client = request.client
        if client is not None and client.port == 0:
            LOG.warning("the server rewrote the caller's address: run uvicorn with --no-proxy-headers")
        elif client is not None and _is_in(client.host, self._proxies or []):
            return
        else:
            LOG.warning(
                "refused a token from %s, which is not in trusted_proxies", client.host if client else "nowhere"
            )
        raise _Refused("tokens are taken from the proxy alone", logged=True)

    def _add_forwarded(self, request: HTTPConnection, identity: Identity) -> None:
        claims = identity["claims"]
        id_token = _single(request, self._id_header, _MAX_ID_TOKEN)
        if id_token is not None and id_token.count(".") == 2:
            self._add_id_token(id_token, identity)
        elif id_token is not None:
            _require_same_person(id_token, claims, "ID token")
        userinfo = _single(request, self._userinfo_header, _MAX_ID_TOKEN)
        if userinfo is not None:
            _require_same_person(userinfo, claims, "user information")
        refresh_token = _single(request, self._refresh_header, _MAX_REFRESH_TOKEN)
        if refresh_token is not None:
            identity["refresh_token"] = Secret(refresh_token)

    def _add_id_token(self, token: str, identity: Identity) -> None:
        claims = identity["claims"]
        try:
            told = self._verifier.verify_id_token(token, claims, self._client_id)
        except TokenRefused as error:
            if str(error) == "it has expired":
                # Proxies renew the access token and go on forwarding the first ID token: nothing is taken from it.
                return
            raise _Refused(f"the ID token is refused: {error}", mismatch=error.mismatch) from None
        identity["id_token"] = Secret(token)
        identity["claims"] = {**{name: told[name] for name in _ABOUT_PEOPLE if name in told}, **claims}


def _unauthorized(refused: _Refused) -> HTTPException:
    challenge = (
        "Bearer" if refused.absent else f'Bearer error="invalid_token", error_description="{_quotable(refused)}"'
    )
    code = "unauthenticated" if refused.absent else "invalid_token"
    return HTTPException(401, {"code": code, "detail": str(refused)}, headers={"WWW-Authenticate": challenge})


def _quotable(refused: _Refused) -> str:
    return str(refused).replace('"', "'").replace("\\", "/")


def _one(request: HTTPConnection, name: str) -> str | None:
    """The value of a header that may come once: which of two another hop looked at nobody knows."""
    values = request.headers.getlist(name)
    if len(values) > 1:
        raise _Refused(f"the request has several headers {name.lower()}")
    return values[0] if values and values[0].strip() else None


def _single(request: HTTPConnection, name: str, most: int) -> str | None:
    """The same of a header with a token and nothing else: a comma is how proxies join two headers."""
    value = _one(request, name)
    if value is not None and (len(value) > most or "," in value or not all("!" <= sign <= "~" for sign in value)):
        raise _Refused(f"the header {name.lower()} does not hold exactly one token")
    return value


def _require_same_person(value: str, claims: dict[str, Any], what: str) -> None:
    """Unsigned claims are worth nothing, but where they speak of somebody else, something is mixed up."""
    told = claims_of_base64(value)
    if told is None:
        raise _Refused(f"the forwarded {what} cannot be read")
    if told.get("sub") != claims["sub"]:
        raise _Refused(f"the forwarded {what} speaks of another person than the access token")


def _is_b64token(text: str) -> bool:
    """RFC 6750 §2.1."""
    body = text.rstrip("=")
    return bool(body) and _B64TOKEN.issuperset(body)


def _networks(texts: Sequence[str]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    if isinstance(texts, str):
        raise misconfigured('trusted_proxies is a list of CIDRs, or "any_verified"')
    try:
        return [ipaddress.ip_network(text) for text in texts]
    except ValueError as error:
        raise misconfigured(f"trusted_proxies: {error}") from None


def _is_in(host: str, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return any((mapped or address) in network for network in networks)
