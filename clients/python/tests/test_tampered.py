"""Is every tampered token refused, and are they the same ones as in Rust? (security.md C2)

What a service behind a proxy answers to them is in `test_fastapi`.
"""

import asyncio
from collections.abc import Iterator

import pytest
from issuer import AUDIENCE, Issuer
from tampered import TAMPERED, issuer_of_many_keys, names_in_rust

from jeton.keys import IssuerKeys
from jeton.verify import TokenRefused, TokenVerifier


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    made = issuer_of_many_keys()
    yield made
    made.stop()


def test_the_kinds_are_those_of_the_rust_guard() -> None:
    rust = names_in_rust()
    assert len(set(rust)) == len(rust) >= 30
    assert sorted(set(rust) - set(TAMPERED)) == [], "Rust has what Python has not"
    assert sorted(set(TAMPERED) - set(rust)) == [], "Python has what Rust has not"


@pytest.mark.parametrize("name", TAMPERED)
def test_a_verifier_refuses_a_tampered_token_and_says_why(issuer: Issuer, name: str) -> None:
    verifier = TokenVerifier(IssuerKeys(issuer.open_id_connect_url), AUDIENCE)
    assert verifier.verify(issuer.token())["sub"] == "ada"
    why, make = TAMPERED[name]
    token = make(issuer)
    for judge in (verifier.verify, lambda token: asyncio.run(verifier.verify_async(token))):
        with pytest.raises(TokenRefused) as refused:
            judge(token)
        assert str(refused.value) == why
