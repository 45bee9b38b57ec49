"""Verifies jeton's tokens with PyJWT and with jwcrypto, for as long as the test shows some.

Each line names a `token`, its `audience` and `type`, and the time it is (`now`), since the test moves the broker's clock.
"""

import json

import jwt
import requests
import time_machine
from jwcrypto.jwk import JWKSet
from jwcrypto.jwt import JWT
from talk import step, told

settings = told()
issuer = settings["issuer"]
server = requests.get(f"{issuer}/.well-known/openid-configuration").json()
ALGORITHMS = ["ES256", "RS256"]
# PyJWT keeps the keys for 300 s, by a clock that the test does not move: here it asks at once for one it does not know.
published = jwt.PyJWKClient(server["jwks_uri"], cooldown_duration=0)


def by_pyjwt(token, audience):
    key = published.get_signing_key_from_jwt(token)
    return jwt.decode(token, key, ALGORITHMS, audience=audience, issuer=issuer, options={"require": ["exp", "iat"]})


def by_jwcrypto(token, audience):
    keys = JWKSet.from_json(requests.get(server["jwks_uri"]).text)
    expected = {"iss": issuer, "aud": audience, "exp": None, "iat": None}
    return json.loads(JWT(jwt=token, key=keys, algs=ALGORITHMS, check_claims=expected).claims)


def outcome(verify, shown):
    try:
        return verify(shown["token"], shown["audience"])
    except Exception as error:
        return type(error).__name__


while shown := told():
    header = jwt.get_unverified_header(shown["token"])
    # Only an access token is one (RFC 9068 §4).
    assert header["typ"] == shown["type"], header
    with time_machine.travel(shown["now"], tick=False):
        results = {verify.__name__: outcome(verify, shown) for verify in (by_pyjwt, by_jwcrypto)}
    step("verified", kid=header["kid"], alg=header["alg"], **results)
