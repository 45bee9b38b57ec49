"""What nobody may take: the kinds of `guard/tests/suite/tampered.rs` by the same names, signed by the tests' issuer."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from issuer import AUDIENCE, Issuer, b64

RUST = Path(__file__).parents[3] / "guard/tests/suite/tampered.rs"

Make = Callable[[Issuer], str]

# Why each is refused, in the words of the verifier.
FORM = "it is not a signed token"
UNREADABLE = "it cannot be read"
ALGORITHM = "its algorithm is not accepted"
KEY = "no key of the issuer bears it out"
SIGNATURE = "its signature is not good"
KIND = "it is not an access token"
ISSUER = "it is of another issuer"
FOR_OTHERS = "it is for another audience"
LACKS = "it lacks a claim"
EXPIRED = "it has expired"
EARLY = "it is not valid yet"
CLAIMS = "its signature or its claims are not good"


def _carries(name: str) -> str:
    return f"its header carries `{name}`, which is not accepted"


def issuer_of_many_keys() -> Issuer:
    """Like the one of the Rust tests it has a key that may not be used, and two of a kind."""
    made = Issuer()
    made.keys.append(made.jwk("ES256", ec.generate_private_key(ec.SECP256R1()), "es-retired"))
    made.keys.append(made.jwk("EdDSA", made.ed, "ed-1"))
    return made


def flipped(token: str) -> str:
    head, _, signature = token.rpartition(".")
    return f"{head}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"


def _unsigned(issuer: Issuer, **header: Any) -> str:
    """Header and payload."""
    return issuer.token(header=header).rpartition(".")[0]


def _under_another_header(issuer: Issuer, header: str) -> str:
    return f"{b64(header)}.{issuer.token().split('.', 1)[1]}"


def _grafted(issuer: Issuer) -> str:
    header, _, signature = issuer.token().split(".")
    return f"{header}.{b64(issuer.claims(sub='mallory'))}.{signature}"


def _signature_in_der(issuer: Issuer) -> str:
    signed = _unsigned(issuer)
    return f"{signed}.{b64(issuer.ec.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))}"


def _point(issuer: Issuer) -> bytes:
    """The public key as the Rust tests take it for a secret: the point, uncompressed."""
    numbers = issuer.ec.public_key().public_numbers()
    return b"\x04" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")


def _jwk(issuer: Issuer) -> bytes:
    """As it is served."""
    return json.dumps(issuer.keys[0]).encode()


def _header(**changed: Any) -> Make:
    """Signed well but for what its header says."""
    return lambda issuer: issuer.token(header=changed)


def _headed(header: str) -> Make:
    """Signed well under this very text."""
    return lambda issuer: issuer.raw(json.dumps(issuer.claims()), header)


def _claims(**changed: Any) -> Make:
    return lambda issuer: issuer.token(**changed)


def _at(name: str, seconds: int) -> Make:
    """Seconds from now, whether before or after."""
    return lambda issuer: issuer.token(**{name: int(time.time()) + seconds})


def _by_a_stranger(name: str) -> Make:
    """Signed with a key that the token brings itself, in one way or another."""

    def made(issuer: Issuer) -> str:
        own = issuer.jwk("ES256", issuer.stranger, "es-1")
        values = {"jwk": own, "jku": f"{issuer.url}/evil", "x5u": f"{issuer.url}/evil", "x5c": ["MIIB"]}
        return issuer.token(header={name: values[name]}, key=issuer.stranger)

    return made


TAMPERED: dict[str, tuple[str, Make]] = {
    # The algorithm.
    "none": (ALGORITHM, lambda i: _unsigned(i, alg="none") + "."),
    "none_capitalised": (ALGORITHM, lambda i: _unsigned(i, alg="NoNe") + "."),
    "none_signed": (ALGORITHM, _headed('{"alg": "none", "typ": "at+jwt", "kid": "es-1"}')),
    "none_put_before": (ALGORITHM, lambda i: _under_another_header(i, '{"alg": "none", "typ": "at+jwt"}')),
    "no_algorithm": (ALGORITHM, _headed('{"typ": "at+jwt", "kid": "es-1"}')),
    "hs256_with_the_public_key": (ALGORITHM, lambda i: i.token(header={"alg": "HS256"}, key=_point(i))),
    "hs256_with_the_public_jwk": (ALGORITHM, lambda i: i.token(header={"alg": "HS256"}, key=_jwk(i))),
    "hs256_with_the_public_pem": (ALGORITHM, lambda i: i.token(header={"alg": "HS256"}, key=i.pem(i.ec))),
    "hs256_with_the_public_rsa": (
        ALGORITHM,
        lambda i: i.token(header={"alg": "HS256", "kid": "rs-1"}, key=i.pem()),
    ),
    "hs512_with_an_empty_key": (ALGORITHM, lambda i: i.token(header={"alg": "HS512"}, key=b"")),
    "algorithm_of_another_key": (KEY, _header(alg="RS256", kid="es-1")),
    "rsa_key_as_ec": (KEY, _header(alg="ES256", kid="rs-1")),
    "algorithm_not_allowed": (ALGORITHM, _header(alg="EdDSA", kid="ed-1")),
    "padding_not_allowed": (ALGORITHM, _header(alg="PS256", kid="rs-1")),
    "hash_not_allowed": (ALGORITHM, _header(alg="RS512", kid="rs-1")),
    # The key.
    "embedded_key": (_carries("jwk"), lambda i: i.token(header={"jwk": i.keys[0]})),
    "key_address": (_carries("jku"), _header(jku="https://evil.example/jwks")),
    "certificate_address": (_carries("x5u"), _header(x5u="https://evil.example/cert")),
    "certificate": (_carries("x5c"), _header(x5c=["MIIB"])),
    "embedded_key_of_a_stranger": (_carries("jwk"), _by_a_stranger("jwk")),
    "key_address_of_a_stranger": (_carries("jku"), _by_a_stranger("jku")),
    "certificate_address_of_a_stranger": (_carries("x5u"), _by_a_stranger("x5u")),
    "certificate_of_a_stranger": (_carries("x5c"), _by_a_stranger("x5c")),
    "unknown_key": (KEY, _header(kid="es-9")),
    "kid_as_a_path": (KEY, _header(kid="../../dev/null")),
    "no_kid_among_several": (KEY, _header(kid=None)),
    "kid_of_another_kind": (UNREADABLE, _header(kid=["es-1"])),
    "kid_as_a_number": (UNREADABLE, _header(kid=1)),
    # What must be understood.
    "critical_extension": (_carries("crit"), _header(crit=["exp"])),
    "critical_nothing": (_carries("crit"), _headed('{"alg": "ES256", "typ": "at+jwt", "kid": "es-1", "crit": null}')),
    "critical_empty": (_carries("crit"), _header(crit=[])),
    "compressed": (_carries("zip"), _header(zip="DEF")),
    "encrypted": (_carries("enc"), _header(enc="A256GCM")),
    # The signature.
    "signed_by_another_key": (SIGNATURE, lambda i: i.token(key=i.stranger)),
    "claims_grafted": (SIGNATURE, _grafted),
    "signature_changed": (SIGNATURE, lambda i: flipped(i.token())),
    "signature_in_der": (SIGNATURE, _signature_in_der),
    "no_signature": (SIGNATURE, lambda i: _unsigned(i) + "."),
    "zero_signature": (SIGNATURE, lambda i: f"{_unsigned(i)}.{b64(bytes(64))}"),
    "padded_signature": (UNREADABLE, lambda i: i.token() + "=="),
    "padded_payload": (UNREADABLE, lambda i: i.raw(json.dumps(i.claims(padding="x")), pad="=")),
    # The form.
    "two_parts": (FORM, _unsigned),
    "four_parts": (FORM, lambda i: i.token() + ".AAAA"),
    "five_parts": (FORM, lambda _: "a.b.c.d.e"),
    "empty": (FORM, lambda _: ""),
    "opaque": (FORM, lambda _: "opaque"),
    "space_before": (UNREADABLE, lambda i: " " + i.token()),
    "header_not_json": (UNREADABLE, _headed("hello")),
    "header_nested_deep": (UNREADABLE, _headed("[" * 3000)),
    "payload_not_json": (UNREADABLE, lambda i: i.raw("hello")),
    "payload_no_object": (CLAIMS, lambda i: i.raw("[]")),
    "repeated_claim": (UNREADABLE, lambda i: i.raw('{"exp": 1, ' + json.dumps(i.claims())[1:])),
    "repeated_subject": (UNREADABLE, lambda i: i.raw('{"sub": "mallory", ' + json.dumps(i.claims())[1:])),
    "repeated_algorithm": (UNREADABLE, _headed('{"alg": "none", "alg": "ES256", "typ": "at+jwt", "kid": "es-1"}')),
    "too_long": (FORM, _claims(padding="x" * 8192)),
    # The type.
    "plain_jwt": (KIND, _header(typ="JWT")),
    "no_type": (KIND, _header(typ=None)),
    "logout_token": (KIND, _header(typ="logout+jwt")),
    "proof": (KIND, _header(typ="dpop+jwt")),
    "typ_of_an_id_token": (KIND, _header(typ="ID")),
    "marked_as_id_token": (KIND, lambda i: i.token(header={"typ": "JWT"}, typ="ID")),
    "marked_as_refresh_token": (KIND, lambda i: i.token(header={"typ": "JWT"}, typ="Refresh")),
    "id_token": (KIND, lambda i: i.id_token(aud=AUDIENCE)),
    "id_token_with_at_hash": (KIND, lambda i: i.id_token("x", aud=AUDIENCE, nonce=...)),
    "events_of_a_logout": (KIND, lambda i: i.token(header={"typ": "JWT"}, events={"backchannel-logout": {}})),
    # Issuer and audience.
    "other_issuer": (ISSUER, _claims(iss="https://evil.example")),
    "issuer_with_a_slash": (ISSUER, lambda i: i.token(iss=i.url + "/")),
    "issuer_in_capitals": (ISSUER, lambda i: i.token(iss=i.url.upper())),
    "other_audience": (FOR_OTHERS, _claims(aud="https://shop.example")),
    "audience_prefix": (FOR_OTHERS, _claims(aud=AUDIENCE + ".evil.example")),
    "audience_with_a_slash": (FOR_OTHERS, _claims(aud=AUDIENCE + "/")),
    "audience_of_numbers": (FOR_OTHERS, _claims(aud=[1])),
    # What must be there.
    "no_issuer": (LACKS, _claims(iss=...)),
    "no_subject": (LACKS, _claims(sub=...)),
    "empty_subject": (UNREADABLE, _claims(sub="")),
    "subject_as_a_number": (CLAIMS, _claims(sub=7)),
    "no_audience": (LACKS, _claims(aud=...)),
    "empty_audience": (LACKS, _claims(aud=[])),
    "no_expiry": (LACKS, _claims(exp=...)),
    "null_expiry": (LACKS, _claims(exp=None)),
    # Time.
    "expired": (EXPIRED, _at("exp", -30)),
    "expired_at_the_epoch": (EXPIRED, _claims(exp=0)),
    "expiry_as_text": (UNREADABLE, _claims(exp="4102444800")),
    "expiry_as_true": (EXPIRED, _claims(exp=True)),
    "expiry_beyond_time": (UNREADABLE, _claims(exp=2**63 - 1)),
    "expiry_beyond_numbers": (UNREADABLE, _claims(exp=1e300)),
    "expiry_infinite": (CLAIMS, _claims(exp=float("inf"))),
    "start_beyond_time": (UNREADABLE, _claims(nbf=10**400)),
    "start_as_text": (UNREADABLE, _claims(nbf="4102444800")),
    "not_yet": (EARLY, _at("nbf", 60)),
    "issued_in_the_future": (EARLY, _at("iat", 60)),
    "not_yet_with_an_odd_subject": (EARLY, lambda i: i.token(nbf=int(time.time()) + 60, sub=7)),
    # Confinement that cannot be read is not freedom.
    "details_not_a_list": (UNREADABLE, _claims(authorization_details={})),
    "detail_without_type": (UNREADABLE, _claims(authorization_details=[{}])),
    "locations_missing": (UNREADABLE, _claims(authorization_details=[{"type": "binb_token"}])),
    "locations_as_text": (UNREADABLE, _claims(authorization_details=[{"type": "binb_token", "locations": "*/*"}])),
}


def names_in_rust() -> list[str]:
    """The names of the Rust list; a kind that is written in another way fails here."""
    told = RUST.read_text(encoding="utf-8").partition("type Tampered")[2].partition("#[tokio::test]")[0]
    names = re.findall(r'\(\s*"(\w+)",\s*Error::', told)
    assert len(names) == told.count("Error::")
    return names
