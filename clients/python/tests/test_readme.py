"""Are the manuals true? Their blocks are run as they stand; ours are the addresses alone."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import tomllib
from house import ROOT, House, answer, scripted
from issuer import Issuer

import jeton
from jeton.keys import IssuerKeys
from jeton.verify import TokenVerifier, scopes

README = (ROOT / "clients/python/README.md").read_text()
MANUAL = (ROOT / "docs/python.md").read_text()
SCHEME_AUDIENCE = "https://terms.example.com"


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def block(holding: str, language: str = "python", text: str = README) -> str:
    found = [each for each in blocks(text, language) if holding in each]
    assert len(found) == 1, holding
    return found[0]


@pytest.fixture(scope="module")
def acme(house: House) -> House:
    """The reader's broker: an app `acme` whose GitHub account is connected."""
    house.app("acme")
    house.connect("acme", "github")
    return house


def run(house: House, script: str, **more: str) -> subprocess.CompletedProcess[str]:
    script = script.replace("https://api.github.com", house.provider).replace('"api.github.com"', '"localhost"')
    environ = {**os.environ, **house.client_environ(), **more}
    return subprocess.run(
        [sys.executable, "-c", script], env=environ, capture_output=True, text=True, timeout=120, check=False
    )


PYTHON = {
    "the shortest": 'retrieve_token("github"',
    "errors": "except ReauthorizeError",
    "requests": "ConnectorAuth(",
    "dlt": "JetonAuth(",
    "toucan": "JetonSecretsKeeper(",
}
NEEDS = {"dlt": "dlt", "toucan": "toucan_connectors"}
SEEN = {
    "the shortest": "print(token.startswith('gho_'))",
    "errors": "print(token.access_token.startswith('gho_'))",
    "requests": "print('login' in user)",
    "dlt": "print('login' in user)",
    "toucan": "print(secrets_keeper.load('default')['access_token'].startswith('gho_'))",
}


@pytest.mark.parametrize("name", PYTHON)
def test_a_block_runs_as_it_stands(acme: House, name: str) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    done = run(acme, f"{block(PYTHON[name])}\n{SEEN[name]}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "True"


def test_a_service_is_called_with_a_token_for_it(acme: House) -> None:
    resource = {"uri": SCHEME_AUDIENCE, "name": "Terms", "scopes": ["terms:read"]}
    acme.admin("POST", "/resources", resource)
    client = acme.client("caller-of-the-readme", resources=[SCHEME_AUDIENCE], scopes=["terms:read"])
    with scripted(lambda _: answer(["a term"])) as service:
        script = block("broker.bearer(").replace(f"{SCHEME_AUDIENCE}/api", f"{service.url}/api")
        done = run(acme, f"{script}\nprint(terms)", **acme.client_environ(client))
    assert (done.stdout, done.stderr) == ("['a term']\n", "")
    sent = service.seen[0].headers["Authorization"].removeprefix("Bearer ")
    verifier = TokenVerifier(IssuerKeys(f"{acme.url}/.well-known/openid-configuration"), SCHEME_AUDIENCE)
    assert scopes(verifier.verify(sent)) == {"terms:read"}


def test_every_block_is_run() -> None:
    here = [*PYTHON.values(), "broker.bearer(", "OIDCProxyScheme("]
    assert all(sum(holding in each for holding in here) == 1 for each in blocks(README, "python"))
    assert len(blocks(README, "python")) == len(here)
    languages = {language: len(blocks(README, language)) for language in ("sh", "ini")}
    assert languages == {"sh": 1, "ini": 1}
    assert README.count("```") == 2 * (len(here) + 2)
    assert [len(blocks(MANUAL, language)) for language in ("python", "toml")] == [1, 1]
    assert MANUAL.count("```") == 4


def test_errors_lead_where_the_readme_says(acme: House) -> None:
    acme.app("empty")
    script = block("except ReauthorizeError").replace('"acme"', '"empty"')
    lost = run(acme, script)
    assert (lost.returncode, lost.stdout) == (1, "")
    assert lost.stderr == f"a person must connect the account again: {acme.url}/empty/github/signup\n"
    away = run(acme, script, JETON_URL="http://127.0.0.1:9")
    assert away.returncode == 75
    assert away.stderr == "http://127.0.0.1:9 was not reached: Connection refused (unreachable)\n"


def test_the_table_of_errors_is_whole() -> None:
    kinds = jeton.JetonError.__subclasses__()
    told = re.findall(r"^\| `(\w+)` \| .* \| (\d+) \|$", README, re.MULTILINE)
    assert {name: int(code) for name, code in told} == {kind.__name__: kind.exit_code for kind in kinds}


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    yield made
    made.stop()


def greeted(app: object, *headers: tuple[str, str]) -> str:
    async def ask() -> str:
        transport = httpx.ASGITransport(app=app, client=("10.1.2.3", 9))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return str((await client.get("/", headers=list(headers))).json())

    return asyncio.run(ask())


def test_the_service_greets(issuer: Issuer) -> None:
    names: dict[str, object] = {}
    exec(block("OIDCProxyScheme(").replace("https://login.example.com", issuer.url), names)
    bearer = ("Authorization", f"Bearer {issuer.token(aud=SCHEME_AUDIENCE)}")
    nameless = ("Authorization", f"Bearer {issuer.token(aud=SCHEME_AUDIENCE, preferred_username=...)}")
    assert greeted(names["app"], bearer) == "hello, ada.l"
    assert greeted(names["app"], nameless) == "hello, mysterious stranger"
    assert greeted(names["app"]) == "hello, unauthorised person"


def test_the_verifier_of_the_manual_reads_scopes(issuer: Issuer) -> None:
    names: dict[str, object] = {}
    exec(blocks(MANUAL, "python")[0].replace("https://jeton.example.com", issuer.url), names)
    may_read = names["may_read"]
    assert callable(may_read)
    assert may_read(issuer.token(aud=SCHEME_AUDIENCE))
    assert not may_read(issuer.token(aud=SCHEME_AUDIENCE, scope="terms:write"))
    assert not may_read(issuer.token())


def test_airflow_takes_the_configuration(acme: House, tmp_path: Path) -> None:
    pytest.importorskip("airflow")
    (tmp_path / "airflow.cfg").write_text(block("[secrets]", "ini"))
    script = """
import logging
logging.disable(logging.CRITICAL)
from airflow.sdk import Connection, Variable
connection = Connection.get("jeton/acme/github")
print(connection.host, connection.password == Variable.get("jeton/acme/github") != "")
"""
    done = run(acme, script, AIRFLOW_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{'https://api.github.com'} True"


def test_dlt_takes_the_configuration(acme: House, tmp_path: Path) -> None:
    pytest.importorskip("dlt")
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt/secrets.toml").write_text(blocks(MANUAL, "toml")[0])
    script = f"""
import os; os.chdir({str(tmp_path)!r})
import dlt
from dlt.sources.helpers.rest_client import RESTClient
from jeton.dlt import JetonAuth

@dlt.resource
def users(auth: JetonAuth):
    yield RESTClient("https://api.github.com", auth=auth).get("/user").json()

@dlt.source(section="crm")
def crm(auth: JetonAuth = dlt.secrets.value):
    return users(auth)

print(len(list(crm())))
"""
    done = run(acme, script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "1"


def test_it_is_installed_as_the_readme_says(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="no hatchling here to build it with")
    lines = [line.split("#")[0].strip() for line in block("pip install", "sh").splitlines()]
    project = tomllib.loads((ROOT / "clients/python/pyproject.toml").read_text())["project"]
    assert lines == ["pip install ./clients/python", "pip install './clients/python[fastapi]'"]
    extras = set(re.findall(r"\[(\w+)\]", block("pip install", "sh")))
    assert extras <= set(project["optional-dependencies"])
    assert [re.match(r"[a-z]+", need).group() for need in project["dependencies"]] == ["requests"]  # type: ignore[union-attr]
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "./clients/python"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "jeton/py.typed").exists()
    ran = [
        sys.executable,
        "-I",
        "-c",
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import jeton; print(jeton.__file__)",
    ]
    told = subprocess.run(ran, capture_output=True, text=True, timeout=60, check=True).stdout
    assert told.startswith(str(tmp_path))
