"""jeton's authorization server with Authlib.

python authlib_client.py machine|person|device
"""

import os
import sys
import time

# Plain http is for a broker on this machine; leave this out where it has https.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc8628 import DEVICE_CODE_GRANT_TYPE
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from talk import failure, step, told

settings = told()
issuer, client_id, secret = settings["issuer"], settings["id"], settings["secret"]
server = requests.get(f"{issuer}/.well-known/openid-configuration").json()


class SignedForIssuer(PrivateKeyJWT):
    """private_key_jwt as jeton takes it: for the issuer, short-lived, and another one each time."""

    def sign(self, auth, token_endpoint):
        self.claims = {"aud": issuer, "exp": int(time.time()) + 60}
        return super().sign(auth, token_endpoint)


def machine():
    """A program that speaks for itself: client_credentials, by each way to authenticate."""
    for method in ("client_secret_basic", "client_secret_post"):
        session = OAuth2Session(client_id, secret, token_endpoint_auth_method=method)
        step("token", **session.fetch_token(server["token_endpoint"], grant_type="client_credentials"))
    # The private key stays here; its public half is registered as the client's `jwks`.
    key = ECKey.generate_key("P-256")
    step("key", jwk=key.as_dict(private=False))
    session = OAuth2Session(told()["id"], key, token_endpoint_auth_method="private_key_jwt", scope="binb:read")
    session.register_client_auth_method(SignedForIssuer(alg="ES256"))
    for _ in range(2):
        step("token", **session.fetch_token(server["token_endpoint"], grant_type="client_credentials"))
    wrong = OAuth2Session(client_id, "wrong")
    error = failure(wrong.fetch_token, server["token_endpoint"], grant_type="client_credentials")
    step("refused", error=error.error, name=type(error).__name__)


def person():
    """A web application: a person signs in, and it acts for the person."""
    session = OAuth2Session(
        client_id,
        secret,
        redirect_uri=settings["redirect_uri"],
        scope="openid profile email offline_access",
        code_challenge_method="S256",
    )
    verifier, nonce = generate_token(48), generate_token()
    url, _ = session.create_authorization_url(server["authorization_endpoint"], code_verifier=verifier, nonce=nonce)
    step("authorize", url=url)
    tokens = session.fetch_token(
        server["token_endpoint"], authorization_response=told()["back"], code_verifier=verifier
    )
    keys = KeySet.import_key_set(requests.get(server["jwks_uri"]).json())
    signed = jwt.decode(tokens["id_token"], keys, algorithms=server["id_token_signing_alg_values_supported"])
    expected = {"iss": {"value": issuer}, "aud": {"value": client_id}, "nonce": {"value": nonce}}
    checks = {"nonce": nonce, "client_id": client_id, "access_token": tokens["access_token"]}
    claims = CodeIDToken(signed.claims, signed.header, expected, checks)
    claims.validate()
    step("tokens", claims=claims, **tokens)
    step("userinfo", **session.get(server["userinfo_endpoint"]).json())
    told_of = session.introspect_token(server["introspection_endpoint"], token=tokens["access_token"])
    step("introspected", **told_of.json())
    # Another session: this one keeps the person's token.
    exchanged = OAuth2Session(client_id, secret).fetch_token(
        server["token_endpoint"],
        grant_type="urn:ietf:params:oauth:grant-type:token-exchange",
        subject_token=tokens["access_token"],
        subject_token_type="urn:ietf:params:oauth:token-type:access_token",
        audience=settings["audience"],
    )
    step("exchanged", **exchanged)

    refreshed = session.refresh_token(server["token_endpoint"], refresh_token=tokens["refresh_token"])
    step("refreshed", **refreshed)
    session.revoke_token(server["revocation_endpoint"], token=refreshed["access_token"])
    told_of = session.introspect_token(server["introspection_endpoint"], token=refreshed["access_token"])
    step("revoked", **told_of.json())
    error = failure(session.refresh_token, server["token_endpoint"], refresh_token=tokens["refresh_token"])
    step("reused", error=error.error, name=type(error).__name__)


def device():
    """A program without a browser: a person types its code elsewhere, and it asks until that is done."""
    session = OAuth2Session(client_id, token_endpoint_auth_method="none")
    begun = requests.post(
        server["device_authorization_endpoint"], data={"client_id": client_id, "scope": "openid profile"}
    ).json()
    step("device", **begun)
    asked = {"grant_type": DEVICE_CODE_GRANT_TYPE, "device_code": begun["device_code"]}
    error = failure(session.fetch_token, server["token_endpoint"], **asked)
    step("pending", error=error.error, name=type(error).__name__)
    # A program of its own waits `interval` seconds here.
    told()
    step("tokens", **session.fetch_token(server["token_endpoint"], **asked))


{"machine": machine, "person": person, "device": device}[sys.argv[1]]()
