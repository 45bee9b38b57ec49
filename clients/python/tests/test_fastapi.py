"""Does a service behind a proxy take good tokens, and only those, and only from the proxy?"""

# No `from __future__ import annotations`: FastAPI reads the annotations of a route as types.

import asyncio
import base64
import json
import logging
import os
import secrets
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
import requests
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from house import House, Reply, Seen, answer, answers, wait_for
from issuer import AUDIENCE, Issuer, b64
from tampered import TAMPERED, flipped, issuer_of_many_keys

import jeton
from jeton import fastapi as jeton_fastapi
from jeton import keys
from jeton.fastapi import Identity, OIDCProxyScheme
from jeton.keys import IssuerKeys
from jeton.verify import KeysUnavailable, TokenRefused, TokenVerifier, scopes

fastapi = pytest.importorskip("fastapi")


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    yield made
    made.stop()


def service(scheme: OIDCProxyScheme) -> Any:
    """The service of product.md: it greets."""
    app = fastapi.FastAPI()

    @app.get("/")
    async def greet(identity: Annotated[Identity | None, fastapi.Depends(scheme)]) -> dict[str, Any]:
        if identity is None:
            return {"hello": "unauthorised person"}
        name = identity["claims"].get("preferred_username", "mysterious stranger")
        return {"hello": name, **identity}

    return app


class Caller:
    """Calls a service from an address, with headers that may come twice."""

    def __init__(self, app: Any, client: tuple[str, int] = ("127.0.0.1", 4711)) -> None:
        self._transport = httpx.ASGITransport(app=app, client=client)

    def ask(self, *headers: tuple[str, str]) -> httpx.Response:
        return asyncio.run(self.ask_async(*headers))

    async def ask_async(self, *headers: tuple[str, str]) -> httpx.Response:
        async with httpx.AsyncClient(transport=self._transport, base_url="http://service") as client:
            return await client.get("/", headers=list(headers))


def behind(issuer: Issuer, client: tuple[str, int] = ("127.0.0.1", 4711), **more: Any) -> Caller:
    options: dict[str, Any] = {"open_id_connect_url": issuer.open_id_connect_url, "audience": AUDIENCE, **more}
    return Caller(service(OIDCProxyScheme(**options)), client)


def bearer(token: str) -> tuple[str, str]:
    return "Authorization", f"Bearer {token}"


# --- what passes ------------------------------------------------------------------------------------------------


def test_the_options_and_their_defaults_are_those_of_the_product(issuer: Issuer) -> None:
    scheme = OIDCProxyScheme(open_id_connect_url=issuer.open_id_connect_url, audience=AUDIENCE)
    assert (scheme.scheme_name, scheme.auto_error) == ("OIDCProxyScheme", True)
    assert scheme.model.openIdConnectUrl == issuer.open_id_connect_url
    with pytest.raises(TypeError):
        OIDCProxyScheme(open_id_connect_url=issuer.open_id_connect_url)  # type: ignore[call-arg]
    caller = behind(issuer)
    token = issuer.token()
    id_token = issuer.id_token(token)
    greeted = caller.ask(bearer(token), ("x-id-token", id_token), ("x-refresh-token", "refresh-1")).json()
    assert greeted["hello"] == "ada.l"
    assert (greeted["access_token"], greeted["id_token"], greeted["refresh_token"]) == (token, id_token, "refresh-1")
    assert greeted["claims"]["name"] == "Ada L."
    assert greeted["claims"]["aud"] == AUDIENCE
    alone = caller.ask(bearer(token)).json()
    assert (alone["id_token"], alone["refresh_token"]) == (None, None)
    assert "name" not in alone["claims"]
    assert caller.ask(bearer(issuer.token(preferred_username=...))).json()["hello"] == "mysterious stranger"


def test_all_eight_options_count(issuer: Issuer) -> None:
    scheme = OIDCProxyScheme(
        open_id_connect_url=issuer.open_id_connect_url,
        audience=AUDIENCE,
        id_token_header="X-Id",
        refresh_token_header="X-Refresh",
        auth_token_header="X-Access-Token",
        auth_token_in_authorization=False,
        auto_error=False,
        scheme_name="OIDC behind auth proxy",
    )
    app = service(scheme)
    caller, token = Caller(app), issuer.token()
    id_token = issuer.id_token(token)
    greeted = caller.ask(("x-access-token", token), ("x-id", id_token), ("x-refresh", "r")).json()
    assert (greeted["access_token"], greeted["id_token"], greeted["refresh_token"]) == (token, id_token, "r")
    for headers in ([], [bearer(token)], [("x-access-token", f"Bearer {token}")], [("x-access-token", token + "x")]):
        assert caller.ask(*headers).json() == {"hello": "unauthorised person"}
    schemes = app.openapi()["components"]["securitySchemes"]
    assert schemes["OIDC behind auth proxy"]["openIdConnectUrl"] == issuer.open_id_connect_url


def test_without_a_token_a_challenge_is_answered(issuer: Issuer) -> None:
    caller = behind(issuer)
    for headers in ([], [("Authorization", "Basic dTpw")], [("Authorization", "")]):
        refused = caller.ask(*headers)
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
    for value in ("Bearer", "Bearer ", "Bearer a b", "Bearer a,b", 'Bearer "a"', "Bearer =="):
        refused = caller.ask(("Authorization", value))
        assert (refused.status_code, "exactly one token" in refused.text) == (401, True), value
    bad = caller.ask(bearer(issuer.token(exp=1)))
    assert bad.headers["WWW-Authenticate"] == (
        'Bearer error="invalid_token", error_description="the token is refused: it has expired"'
    )
    assert bad.json()["detail"] == {"code": "invalid_token", "detail": "the token is refused: it has expired"}
    assert issuer.token() not in bad.text


def test_why_nobody_is_known_is_logged_once_a_minute(
    issuer: Issuer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(jeton_fastapi.time, "monotonic", lambda: now)
    soft = behind(issuer, auto_error=False)
    for_another = issuer.token(aud=["https://shop.example.com", "a" * 9000], sub="nobody-canary")
    other = issuer.token(aud="https://shop.example.com", sub="nobody-canary")
    strange = issuer.token(iss="https://other.example.com")

    def lines() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name == "jeton.fastapi"]

    for _ in range(3):
        soft.ask()
        for token in (other, strange, for_another):
            assert soft.ask(bearer(token)).json() == {"hello": "unauthorised person"}
    same = "; the same is not logged again for a minute"
    audience = f"(expected aud '{AUDIENCE}', got 'https://shop.example.com')"
    assert lines() == [
        f"refused a call: the token is refused: it is for another audience {audience}{same}",
        f"refused a call: the token is refused: it is of another issuer (expected iss '{issuer.url}', "
        f"got 'https://other.example.com'){same}",
        f"refused a call: the token is refused: it is not a signed token{same}",
    ]
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    now += 61
    soft.ask(bearer(other))
    assert len(lines()) == 4
    for token in (other, strange):
        assert token not in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.parametrize("typ", ["at+jwt", "application/at+jwt", "AT+JWT", "JWT", None])
@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_tokens_of_other_issuers_pass(issuer: Issuer, typ: str | None, algorithm: str) -> None:
    kid = {"ES256": "es-1", "RS256": "rs-1"}[algorithm]
    token = issuer.token(header={"typ": typ, "alg": algorithm, "kid": kid}, aud=["account", AUDIENCE])
    assert behind(issuer).ask(bearer(token)).status_code == 200


def test_clocks_may_differ_by_the_leeway(issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    caller, now = behind(issuer), int(time.time())
    assert caller.ask(bearer(issuer.token(exp=now - 20, iat=now - 100))).status_code == 200
    assert caller.ask(bearer(issuer.token(nbf=now + 20))).status_code == 200
    assert caller.ask(bearer(issuer.token(nbf=now + 90))).status_code == 401
    assert "clock skew" in caplog.text
    assert "90 s in the future" in caplog.text or "89 s in the future" in caplog.text
    with pytest.raises(jeton.FixConfigurationError, match="60"):
        behind(issuer, leeway=61)


def test_a_token_of_the_broker_passes(house: House) -> None:
    uri = "https://terms.example/python"
    house.admin("POST", "/resources", {"uri": uri, "name": "Terms", "scopes": ["terms:read"]})
    client = house.client("terms-caller", resources=[uri], scopes=["terms:read"])
    job = jeton.Broker(jeton.Settings.from_env(house.client_environ(client)))
    scheme = OIDCProxyScheme(open_id_connect_url=f"{house.url}/.well-known/openid-configuration", audience=uri)
    greeted = Caller(service(scheme)).ask(bearer(job.bearer())).json()
    assert greeted["claims"]["client_id"] == client[0]
    assert scopes(greeted["claims"]) == {"terms:read"}
    other = OIDCProxyScheme(open_id_connect_url=f"{house.url}/.well-known/openid-configuration", audience="another")
    assert Caller(service(other)).ask(bearer(job.bearer())).status_code == 401


# --- tampered tokens, the same as in Rust (security.md C2) --------------------------------------------------------

# Foreign issuers give their access tokens no type, and behind `Bearer` there may be several spaces (RFC 9110 §11.4).
FINE_FOR_A_SCHEME = ("plain_jwt", "no_type", "space_before")
# These no header of RFC 6750 holds, so that no verifier sees them.
NO_BEARER_TOKEN = ("empty", "padded_payload")


@pytest.fixture(scope="module")
def shared_issuer() -> Iterator[Issuer]:
    made = issuer_of_many_keys()
    yield made
    made.stop()


@pytest.mark.parametrize("name", TAMPERED)
@pytest.mark.parametrize("trusted", [("127.0.0.0/8",), "any_verified"], ids=["behind a proxy", "any_verified"])
def test_a_tampered_token_is_refused(shared_issuer: Issuer, name: str, trusted: Any) -> None:
    caller = behind(shared_issuer, trusted_proxies=trusted)
    soft = behind(shared_issuer, trusted_proxies=trusted, auto_error=False)
    assert caller.ask(bearer(shared_issuer.token())).status_code == 200
    why, make = TAMPERED[name]
    token = make(shared_issuer)
    answered, softly = caller.ask(bearer(token)), soft.ask(bearer(token))
    if name in FINE_FOR_A_SCHEME:
        assert (answered.status_code, softly.json()["hello"]) == (200, "ada.l")
        return
    told = f"the token is refused: {why}"
    if name in NO_BEARER_TOKEN:
        told = "the header does not hold exactly one token"
    challenge = f'Bearer error="invalid_token", error_description="{told}"'
    assert (answered.status_code, answered.headers["WWW-Authenticate"]) == (401, challenge)
    assert answered.json() == {"detail": {"code": "invalid_token", "detail": told}}
    assert (softly.status_code, softly.json()) == (200, {"hello": "unauthorised person"})


def test_details_that_can_be_read_pass(issuer: Issuer) -> None:
    verifier = TokenVerifier(IssuerKeys(issuer.open_id_connect_url), AUDIENCE)
    details = [{"type": "binb_token", "locations": ["acme/*"], "note": 1}, {"type": "payment", "locations": 3}]
    for told in (details, [], None):
        assert verifier.verify(issuer.token(authorization_details=told))["authorization_details"] == told


def test_a_plain_verifier_takes_at_jwt_alone(issuer: Issuer) -> None:
    """As `jeton-guard` does by default: for tokens of the broker."""
    verifier = TokenVerifier(IssuerKeys(issuer.open_id_connect_url), AUDIENCE)
    assert verifier.verify(issuer.token())["sub"] == "ada"
    for typ in ("JWT", None):
        with pytest.raises(TokenRefused):
            verifier.verify(issuer.token(header={"typ": typ}))


# --- what is forwarded beside the access token ----------------------------------------------------------------------


def apisix(claims: dict[str, Any]) -> str:
    """As APISIX writes a header: base64 of JSON, unsigned."""
    return base64.b64encode(json.dumps(claims).encode()).decode()


def test_unsigned_claims_of_apisix_are_understood_and_never_believed(issuer: Issuer) -> None:
    caller, token = behind(issuer), issuer.token()
    said = apisix({"sub": "ada", "name": "Root", "role": "superadmin", "preferred_username": "root"})
    greeted = caller.ask(bearer(token), ("x-userinfo", said), ("x-id-token", said)).json()
    assert (greeted["hello"], greeted["id_token"]) == ("ada.l", None)
    assert "role" not in greeted["claims"]
    assert "name" not in greeted["claims"]
    for headers in (
        [("x-userinfo", apisix({"sub": "mallory"}))],
        [("x-id-token", apisix({"sub": "mallory"}))],
        [("x-userinfo", apisix({"name": "Ada"}))],
        [("x-userinfo", "no base64 %")],
        [("x-id-token", base64.b64encode(b"[]").decode())],
    ):
        assert caller.ask(bearer(token), *headers).status_code == 401, headers
    # Alone they are nothing.
    assert caller.ask(("x-userinfo", said), ("x-id-token", said)).status_code == 401


def test_an_id_token_must_belong_to_the_access_token(issuer: Issuer) -> None:
    caller, token = behind(issuer), issuer.token()
    bad = {
        "another person": issuer.id_token(token, sub="mallory"),
        "another client": issuer.id_token(token, aud="evil"),
        "another issuer": issuer.id_token(token, iss="https://evil.example"),
        "signed by a stranger": flipped(issuer.id_token(token)),
        "unsigned": issuer.id_token(token, header={"alg": "none"}),
        "an access token": token,
        "an ID token that says it is an access token": issuer.id_token(token, header={"typ": "at+jwt"}),
    }
    for name, id_token in bad.items():
        assert caller.ask(bearer(token), ("x-id-token", id_token)).status_code == 401, name
    # The first one stays with a proxy that has refreshed the access token.
    assert caller.ask(bearer(token), ("x-id-token", issuer.id_token("another"))).status_code == 200
    late = caller.ask(bearer(token), ("x-id-token", issuer.id_token(token, exp=int(time.time()) - 100))).json()
    assert (late["hello"], late["id_token"]) == ("ada.l", None)
    assert "name" not in late["claims"]
    # It names a person; what the token may do comes from the access token alone.
    more = issuer.id_token(token, role="superadmin", scope="admin", email="ada@example.com")
    claims = caller.ask(bearer(token), ("x-id-token", more)).json()["claims"]
    assert (claims["email"], claims["scope"]) == ("ada@example.com", "terms:read")
    assert "role" not in claims


def test_an_id_token_is_for_the_client_that_signed_the_person_in(issuer: Issuer) -> None:
    named, azp = issuer.token(), issuer.token(client_id=..., azp="shop")
    nameless = issuer.token(client_id=...)
    for token, client_id, whose, taken in (
        (named, None, "shop", True),
        (azp, None, "shop", True),
        (azp, None, "evil", False),
        # By default the audience signs people in itself.
        (nameless, None, AUDIENCE, True),
        (nameless, None, "shop", False),
        (nameless, "shop", "shop", True),
        (nameless, "shop", AUDIENCE, False),
        (named, "proxy", "shop", False),
        (named, "proxy", "proxy", True),
    ):
        caller = behind(issuer, client_id=client_id)
        for aud, party, fits in (
            (whose, ..., True),
            ([whose], ..., True),
            (whose, whose, True),
            (whose, "evil", False),
            ([whose, "other"], ..., False),
            ([whose, "other"], whose, True),
            ([whose, "other"], "other", False),
        ):
            id_token = issuer.id_token(token, aud=aud, azp=party)
            answered = caller.ask(bearer(token), ("x-id-token", id_token)).status_code
            assert answered == (200 if taken and fits else 401), (client_id, whose, aud, party)


def test_doubled_headers_are_refused(issuer: Issuer) -> None:
    caller, token = behind(issuer), issuer.token()
    id_token = issuer.id_token(token)
    same = apisix({"sub": "ada"})
    for doubled in (bearer(token), ("x-id-token", id_token), ("x-refresh-token", "r"), ("x-userinfo", same)):
        headers = [doubled, doubled] if doubled == bearer(token) else [bearer(token), doubled, doubled]
        refused = caller.ask(*headers)
        assert refused.status_code == 401, doubled[0]
        assert "several headers" in refused.json()["detail"]["detail"]
    # As proxies join them; and what no token holds, or no token is long enough for.
    joined = [(name, f"{value},{value}") for name, value in (("x-id-token", id_token), ("x-userinfo", same))]
    long = [("x-refresh-token", "r" * 8_193), ("x-id-token", "a." * 32_769)]
    for odd in [*joined, *long, *(("x-refresh-token", value) for value in ("a,b", "a, b", "a b", "a\tb"))]:
        refused = caller.ask(bearer(token), odd)
        assert (refused.status_code, "exactly one token" in refused.text) == (401, True), odd[0]
    assert caller.ask(bearer(token), ("x-refresh-token", "r" * 8_192)).status_code == 200
    soft = behind(issuer, auto_error=False)
    assert soft.ask(bearer(token), bearer(issuer.token(sub="mallory"))).json() == {"hello": "unauthorised person"}


# --- from where --------------------------------------------------------------------------------------------------


def test_tokens_come_from_the_proxy_alone(issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    token = issuer.token()
    proxies = ("10.1.0.0/16", "fd00::/8")
    for host in ("10.1.2.3", "::ffff:10.1.2.3", "fd00::7"):
        assert behind(issuer, (host, 9), trusted_proxies=proxies).ask(bearer(token)).status_code == 200, host
    for host in ("10.2.0.1", "127.0.0.1", "::1", "fe80::1", "testclient", ""):
        caplog.clear()
        refused = behind(issuer, (host, 9), trusted_proxies=proxies).ask(bearer(token))
        assert refused.status_code == 401, host
        assert "not in trusted_proxies" in caplog.text
        assert token not in caplog.text
    # By default this machine alone.
    assert behind(issuer, ("10.1.2.3", 9)).ask(bearer(token)).status_code == 401
    assert behind(issuer, ("::1", 9)).ask(bearer(token)).status_code == 200
    # An address that a forwarding header wrote is anybody's word; uvicorn marks it by the port 0.
    assert behind(issuer, ("10.1.2.3", 0), trusted_proxies=proxies).ask(bearer(token)).status_code == 401
    assert "--no-proxy-headers" in caplog.text
    for wrong, why in (("10.1.0.0/16", "is a list"), (["10.1.0.1/16"], "host bits"), (["proxy"], "'proxy' does not")):
        with pytest.raises(jeton.FixConfigurationError, match=why):
            behind(issuer, trusted_proxies=wrong)


def test_any_verified_takes_the_access_token_and_nothing_else(issuer: Issuer) -> None:
    caller, token = behind(issuer, ("203.0.113.9", 9), trusted_proxies="any_verified"), issuer.token()
    forwarded = [("x-id-token", issuer.id_token(token)), ("x-refresh-token", "r"), ("x-userinfo", "junk")]
    greeted = caller.ask(bearer(token), *forwarded).json()
    assert (greeted["hello"], greeted["id_token"], greeted["refresh_token"]) == ("ada.l", None, None)
    assert "name" not in greeted["claims"]


# --- the issuer is down, or knocked at (security.md C4) -----------------------------------------------------------


def test_a_thousand_unknown_keys_cost_at_most_two_fetches(issuer: Issuer) -> None:
    caller = behind(issuer)
    kids = [issuer.token(header={"kid": secrets.token_hex(8)}) for _ in range(1000)]

    async def ask_all() -> list[int]:
        asked = [caller.ask_async(bearer(token)) for token in kids]
        return [response.status_code for response in await asyncio.gather(*asked)]

    statuses = asyncio.run(ask_all())
    assert set(statuses) == {401}
    assert caller.ask(bearer(issuer.token())).status_code == 200
    assert issuer.fetches <= 2
    verifier = TokenVerifier(IssuerKeys(issuer.open_id_connect_url), AUDIENCE)
    before = issuer.fetches
    for token in kids:
        with pytest.raises(TokenRefused):
            verifier.verify(token)
    assert issuer.fetches - before <= 2


def test_an_issuer_that_is_down_locks_nobody_out_and_lets_nobody_in(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = behind(issuer)
    soft = behind(issuer, auto_error=False)
    known = issuer.token()
    issuer.down = True
    for each in (caller, soft):
        first = each.ask(bearer(known))
        assert (first.status_code, first.json()["detail"]["code"]) == (503, "keys_unavailable")
        assert first.headers["Retry-After"] == "5"
        assert each.ask(bearer(issuer.token(header={"alg": "none"}))).status_code in (401, 200)
    assert caller.ask().status_code == 401
    issuer.down = False
    monkeypatch.setattr(keys, "INTERVAL_EMPTY", 0.0)
    assert caller.ask(bearer(known)).status_code == 200
    issuer.down = True
    monkeypatch.setattr(keys, "INTERVAL", 0.0)
    assert caller.ask(bearer(issuer.token(header={"kid": "new"}))).status_code == 503
    assert caller.ask(bearer(known)).status_code == 200
    assert caller.ask(bearer(issuer.token(exp=1))).status_code == 401
    # It comes back with another key.
    issuer.down = False
    issuer.keys = [issuer.jwk("ES256", issuer.stranger, "new")]
    assert caller.ask(bearer(issuer.token(header={"kid": "new"}, key=issuer.stranger))).status_code == 200
    assert caller.ask(bearer(known)).status_code == 401


def test_keys_that_grew_old_are_fetched_beside_the_calls(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = TokenVerifier(IssuerKeys(issuer.open_id_connect_url), AUDIENCE)
    verifier.verify(issuer.token())
    monkeypatch.setattr(keys, "MAX_AGE", 0.0)
    monkeypatch.setattr(keys, "INTERVAL", 0.0)
    verifier.verify(issuer.token())
    wait_for(lambda: issuer.fetches == 2, "a second fetch")


def test_a_forked_worker_fetches_for_itself(issuer: Issuer) -> None:
    """As servers fork their workers: while the first process was asking."""
    hold = threading.Event()
    script = issuer.script

    def slow(seen: Seen) -> Reply:
        if len(issuer.seen) == 1:
            hold.wait(10)
        return script(seen)

    issuer.script = slow
    verifier = TokenVerifier(IssuerKeys(issuer.open_id_connect_url), AUDIENCE)
    token = issuer.token()
    asking = threading.Thread(target=verifier.verify, args=(token,))
    asking.start()
    wait_for(lambda: bool(issuer.seen), "the first request")
    # It fetches again when it is too soon for that, but knows no key and has nobody to wait for.
    verifier._keys._asked_at = None
    child = os.fork()
    if child == 0:
        os._exit(0 if verifier.verify(token)["sub"] == "ada" else 1)
    end = time.monotonic() + 10
    while (done := os.waitpid(child, os.WNOHANG)) == (0, 0):
        assert time.monotonic() < end, "the child waits for a thread that it has not"
        time.sleep(0.02)
    hold.set()
    asking.join()
    assert os.waitstatus_to_exitcode(done[1]) == 0


def test_a_caller_that_hangs_up_takes_no_fetch_along(issuer: Issuer) -> None:
    caller, token = behind(issuer), issuer.token()

    async def two() -> int:
        first = asyncio.create_task(caller.ask_async(bearer(token)))
        second = asyncio.create_task(caller.ask_async(bearer(token)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        first.cancel()
        return (await second).status_code

    assert asyncio.run(two()) == 200
    assert issuer.fetches == 1


LIES = {
    "another issuer": "names another issuer",
    "a redirect": "status 302",
    "huge": "_TooLong",
    "html": "JSONDecodeError",
    "keys in clear": "not https",
    "no keys": "no key that can be used",
}


@pytest.mark.parametrize("lie", LIES)
def test_an_issuer_that_lies_has_no_keys(issuer: Issuer, lie: str, caplog: pytest.LogCaptureFixture) -> None:
    whole = {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/jwks"}
    replies: dict[str, Reply] = {
        "another issuer": answer({**whole, "issuer": "https://other.example"}),
        "a redirect": answer({}, 302, Location=f"{issuer.url}/elsewhere"),
        "huge": (200, {}, b" " * 300_000 + json.dumps(whole).encode()),
        "html": (200, {}, b"<html>"),
        "keys in clear": answer({**whole, "jwks_uri": "http://keys.example/jwks"}),
        "no keys": answer(whole),
    }
    issuer.keys = [] if lie == "no keys" else issuer.keys
    script = issuer.script
    issuer.script = lambda seen: replies[lie] if "openid" in seen.target else script(seen)
    with pytest.raises(KeysUnavailable):
        TokenVerifier(IssuerKeys(issuer.open_id_connect_url), AUDIENCE).verify(issuer.token())
    assert LIES[lie] in caplog.text


def test_an_issuer_that_names_no_keys_may_change_its_key(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = TokenVerifier(IssuerKeys(issuer.open_id_connect_url), AUDIENCE)
    assert verifier.verify(issuer.token(header={"kid": None}))["sub"] == "ada"
    issuer.keys = [issuer.jwk("ES256", issuer.stranger, "es-1")]
    newer = issuer.token(header={"kid": None}, key=issuer.stranger)
    with pytest.raises(TokenRefused):
        verifier.verify(newer)
    monkeypatch.setattr(keys, "INTERVAL", 0.0)
    assert verifier.verify(newer)["sub"] == "ada"


def test_a_document_under_another_name_needs_the_issuer(issuer: Issuer) -> None:
    issuer.named = "https://login.example/realm"
    with pytest.raises(KeysUnavailable):
        TokenVerifier(IssuerKeys(issuer.open_id_connect_url), AUDIENCE).verify(issuer.token(iss=issuer.named))
    given = IssuerKeys(issuer.open_id_connect_url, issuer=issuer.named)
    assert TokenVerifier(given, AUDIENCE).verify(issuer.token(iss=issuer.named))["sub"] == "ada"
    for url in ("http://login.example/.well-known/openid-configuration", "https://login.example/"):
        with pytest.raises(jeton.FixConfigurationError):
            IssuerKeys(url)


def test_keys_for_other_purposes_verify_nothing(issuer: Issuer) -> None:
    own = issuer.jwk("ES256", issuer.ec, "es-1")
    weak = {"kty": "oct", "k": b64("secret"), "kid": "es-1"}
    for unusable in (
        {**own, "use": "enc"},
        {**own, "key_ops": ["sign"]},
        {**own, "alg": "ES384"},
        {**own, "x": "AA"},
        weak,
    ):
        issuer.keys = [unusable, issuer.jwk("RS256", issuer.rsa, "rs-1")]
        with pytest.raises(TokenRefused):
            TokenVerifier(IssuerKeys(issuer.open_id_connect_url), AUDIENCE).verify(issuer.token())


def test_a_short_rsa_key_verifies_nothing(issuer: Issuer) -> None:
    short = rsa.generate_private_key(65537, 1024)
    issuer.keys = [issuer.jwk("RS256", short, "rs-1"), issuer.jwk("ES256", issuer.ec, "es-1")]
    verifier = TokenVerifier(IssuerKeys(issuer.open_id_connect_url), AUDIENCE)
    with pytest.raises(TokenRefused):
        verifier.verify(issuer.token(header={"alg": "RS256", "kid": "rs-1"}, key=short))
    assert verifier.verify(issuer.token())["sub"] == "ada"


# --- a real server behind a real proxy (security.md C3) -----------------------------------------------------------


@contextmanager
def running(app: Any) -> Iterator[int]:
    """uvicorn, as the documentation starts it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, proxy_headers=False, log_level=logging.WARNING, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        wait_for(lambda: server.started, "uvicorn")
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(10)


def from_address(host: str, port: int, token: str, *more: tuple[str, str]) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=10, source_address=(host, 0))
    connection.putrequest("GET", "/")
    for name, value in (bearer(token), *more):
        connection.putheader(name, value)
    connection.endheaders()
    try:
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.fixture
def guarded(issuer: Issuer) -> Iterator[int]:
    """The port of a service whose proxy is at 127.0.0.2."""
    scheme = OIDCProxyScheme(
        open_id_connect_url=issuer.open_id_connect_url, audience=AUDIENCE, trusted_proxies=["127.0.0.2/32"]
    )
    with running(service(scheme)) as port:
        yield port


def test_past_the_proxy_nobody_is_let_in(issuer: Issuer, guarded: int) -> None:
    token = issuer.token()
    assert from_address("127.0.0.2", guarded, token) == 200
    assert from_address("127.0.0.1", guarded, token) == 401
    assert from_address("127.0.0.1", guarded, token, ("X-Forwarded-For", "127.0.0.2")) == 401
    assert from_address("127.0.0.2", guarded, token, bearer(token)) == 401


def test_through_nginx_a_token_passes(issuer: Issuer, guarded: int, tmp_path: Path) -> None:
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        pytest.skip("no nginx here")
    with socket.create_server(("127.0.0.1", 0)) as free:
        front = free.getsockname()[1]
    configuration = f"""
        daemon off; master_process off; pid {tmp_path}/pid; error_log {tmp_path}/error.log;
        events {{}}
        http {{
          access_log off; client_body_temp_path {tmp_path}/b; proxy_temp_path {tmp_path}/p;
          fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;
          server {{
            listen 127.0.0.1:{front};
            location / {{ proxy_bind 127.0.0.2; proxy_pass http://127.0.0.1:{guarded}; }}
          }}
        }}"""
    (tmp_path / "nginx.conf").write_text(configuration)
    proxy = subprocess.Popen([nginx, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")])
    try:
        url = f"http://127.0.0.1:{front}/"
        wait_for(lambda: answers(url), "nginx")
        named, value = bearer(issuer.token())
        assert requests.get(url, headers={named: value}, timeout=10).status_code == 200
        assert requests.get(url, timeout=10).status_code == 401
    finally:
        proxy.terminate()
        proxy.wait(10)
