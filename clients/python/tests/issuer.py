"""An OpenID provider's signing side: keys, tokens good and bad, and how often it was asked."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from house import Reply, Scripted, Seen, answer

AUDIENCE = "https://terms.example"


def b64(data: bytes | str | dict[str, Any]) -> str:
    if isinstance(data, dict):
        data = json.dumps(data)
    return base64.urlsafe_b64encode(data.encode() if isinstance(data, str) else data).rstrip(b"=").decode()


class Issuer:
    """Serves discovery and keys; `down` makes it answer 503."""

    def __init__(self) -> None:
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.rsa = rsa.generate_private_key(65537, 2048)
        self.ed = ed25519.Ed25519PrivateKey.generate()
        self.stranger = ec.generate_private_key(ec.SECP256R1())
        self.keys = [self.jwk("ES256", self.ec, "es-1"), self.jwk("RS256", self.rsa, "rs-1")]
        self.down = False
        self.named: str | None = None
        self.script = self._script
        self._server = Scripted(lambda seen: self.script(seen))  # noqa: PLW0108 - a test may put another
        self.url = self._server.url
        self.open_id_connect_url = f"{self.url}/.well-known/openid-configuration"

    def stop(self) -> None:
        self._server.stop()

    @property
    def seen(self) -> list[Seen]:
        return self._server.seen

    @property
    def fetches(self) -> int:
        """How often its keys were asked for."""
        return self._server.targets().count("/jwks")

    def _script(self, seen: Seen) -> Reply:
        if self.down:
            return answer({}, 503)
        if seen.target == "/jwks":
            return answer({"keys": self.keys})
        return answer({"issuer": self.named or self.url, "jwks_uri": f"{self.url}/jwks"})

    @staticmethod
    def jwk(algorithm: str, key: Any, kid: str) -> dict[str, Any]:
        kind = {"ES256": jwt.algorithms.ECAlgorithm, "EdDSA": jwt.algorithms.OKPAlgorithm}
        public = json.loads(kind.get(algorithm, jwt.algorithms.RSAAlgorithm).to_jwk(key.public_key()))
        return {**public, "kid": kid, "alg": algorithm, "use": "sig"}

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Of a good access token; a claim that is changed to `...` is left out."""
        now = int(time.time())
        whole = {"iss": self.url, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 600, "jti": "1"}
        whole |= {"client_id": "shop", "scope": "terms:read", "preferred_username": "ada.l", **changed}
        return {name: value for name, value in whole.items() if value is not ...}

    def token(self, *, header: dict[str, Any] | None = None, key: Any = None, **changed: Any) -> str:
        """A token signed with ES256; a member of the header that is `None` is left out."""
        whole = {"alg": "ES256", "typ": "at+jwt", "kid": "es-1", **(header or {})}
        whole = {name: value for name, value in whole.items() if value is not None}
        signed = f"{b64(whole)}.{b64(self.claims(**changed))}"
        return f"{signed}.{b64(self._signature(str(whole['alg']), signed, key))}"

    def raw(self, claims: str, header: str = '{"alg": "ES256", "typ": "at+jwt", "kid": "es-1"}', pad: str = "") -> str:
        """Texts that are signed as they are, with `ES256` whatever they say."""
        signed = f"{b64(header)}.{b64(claims)}{pad}"
        return f"{signed}.{b64(self._signature('ES256', signed, None))}"

    def _signature(self, algorithm: str, signed: str, key: Any) -> bytes:
        if algorithm.startswith("HS"):
            digest = {"HS256": hashlib.sha256, "HS512": hashlib.sha512}[algorithm]
            return hmac.new(key, signed.encode(), digest).digest()
        if algorithm in ("ES256", "RS256", "PS256", "RS512", "EdDSA"):
            key = key or {"ES256": self.ec, "EdDSA": self.ed}.get(algorithm, self.rsa)
            return jwt.get_algorithm_by_name(algorithm).sign(signed.encode(), key)
        return b""

    def id_token(self, access_token: str | None = None, *, header: dict[str, Any] | None = None, **changed: Any) -> str:
        of = {"aud": "shop", "scope": ..., "client_id": ..., "name": "Ada L.", "nonce": "n", **changed}
        if access_token is not None:
            of.setdefault("at_hash", b64(hashlib.sha256(access_token.encode()).digest()[:16]))
        return self.token(header={"typ": "JWT", **(header or {})}, **of)

    def pem(self, key: Any = None) -> bytes:
        public = (key or self.rsa).public_key()
        return bytes(public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
