"""jeton's authorization server with requests-oauthlib.

python requests_oauthlib_client.py machine|person|device
"""

import os
import sys
from urllib.parse import quote_plus

# Plain http is for a broker on this machine; leave this out where it has https.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

import requests
from oauthlib.oauth2 import BackendApplicationClient, DeviceClient
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session
from talk import failure, step, told

settings = told()
issuer, client_id, secret = settings["issuer"], settings["id"], settings["secret"]
server = requests.get(f"{issuer}/.well-known/oauth-authorization-server").json()


class ExchangeClient(BackendApplicationClient):
    """Token exchange (RFC 8693), which oauthlib does not know: the request is a backend's with another grant type."""

    grant_type = "urn:ietf:params:oauth:grant-type:token-exchange"


def machine():
    """A program that speaks for itself."""
    session = OAuth2Session(client=BackendApplicationClient(client_id))
    # RFC 6749 §2.3.1 wants it form-urlencoded in the header, which is left to the program; ours are the same so.
    in_header = quote_plus(secret)
    step("token", **session.fetch_token(server["token_endpoint"], client_secret=in_header))
    # The same with the secret in the form.
    in_form = {"client_secret": secret, "include_client_id": True}
    step("token", **session.fetch_token(server["token_endpoint"], **in_form))
    # Nothing such a secret may hold makes the request unreadable.
    error = failure(session.fetch_token, server["token_endpoint"], client_secret="wrong: 100 %+é".encode())
    step("refused", error=error.error, name=type(error).__name__, status=error.status_code)
    session = OAuth2Session(client=BackendApplicationClient(client_id, scope=["openid", "nonsense"]))
    error = failure(session.fetch_token, server["token_endpoint"], client_secret=in_header)
    step("refused", error=error.error, name=type(error).__name__, status=error.status_code)


def person():
    """A web application: a person signs in, and it acts for the person."""
    scope = ["openid", "profile", "offline_access"]
    session = OAuth2Session(client_id, redirect_uri=settings["redirect_uri"], scope=scope, pkce="S256")
    url, _ = session.authorization_url(server["authorization_endpoint"])
    step("authorize", url=url)
    tokens = session.fetch_token(
        server["token_endpoint"], authorization_response=told()["back"], client_secret=secret
    )
    step("tokens", **tokens)
    step("userinfo", **session.get(server["userinfo_endpoint"]).json())
    basic = HTTPBasicAuth(client_id, secret)
    # Introspection is the program's own request, which the client authenticates and not the person's token.
    told_of = session.post(
        server["introspection_endpoint"], data={"token": tokens["access_token"]}, auth=basic, withhold_token=True
    )
    step("introspected", **told_of.json())
    exchanged = OAuth2Session(client=ExchangeClient(client_id)).fetch_token(
        server["token_endpoint"],
        client_secret=secret,
        subject_token=tokens["access_token"],
        subject_token_type="urn:ietf:params:oauth:token-type:access_token",
        audience=settings["audience"],
    )
    step("exchanged", **exchanged)
    refreshed = session.refresh_token(server["token_endpoint"], auth=basic)
    step("refreshed", **refreshed)
    # oauthlib writes the request of a revocation; sending it is the application's.
    url, headers, body = session._client.prepare_token_revocation_request(
        server["revocation_endpoint"], refreshed["refresh_token"], "refresh_token"
    )
    revoked = requests.post(url, headers=headers, data=body, auth=basic)
    step("revoked", status=revoked.status_code, then=session.get(server["userinfo_endpoint"]).status_code)
    error = failure(session.refresh_token, server["token_endpoint"], auth=basic)
    step("dead", error=error.error, name=type(error).__name__)


def device():
    """A program without a browser: a person types its code elsewhere, and it asks until that is done."""
    scope = ["openid", "profile"]
    session = OAuth2Session(client=DeviceClient(client_id, scope=scope))
    begun = requests.post(
        server["device_authorization_endpoint"], data={"client_id": client_id, "scope": " ".join(scope)}
    ).json()
    step("device", **begun)
    asked = {"device_code": begun["device_code"], "include_client_id": True}
    error = failure(session.fetch_token, server["token_endpoint"], **asked)
    step("pending", error=error.error, name=type(error).__name__)
    # A program of its own waits `interval` seconds here.
    told()
    step("tokens", **session.fetch_token(server["token_endpoint"], **asked))


{"machine": machine, "person": person, "device": device}[sys.argv[1]]()
