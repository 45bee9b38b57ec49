"""Does a dlt pipeline's REST client get its tokens from the broker?"""

# No `from __future__ import annotations`: dlt reads the annotations of a source as types.

from typing import Any

import pytest
from house import House, Reply, Seen, answer, handed, scripted, signing_in

import jeton
from jeton import Broker

jeton_dlt = pytest.importorskip("jeton.dlt", reason="dlt is not here")

import dlt  # noqa: E402
from dlt.sources.helpers.rest_client import RESTClient  # noqa: E402
from dlt.sources.helpers.rest_client.auth import OAuth2AuthBase  # noqa: E402
from dlt.sources.helpers.rest_client.paginators import SinglePagePaginator  # noqa: E402
from dlt.sources.rest_api import rest_api_source  # noqa: E402


def environ(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in house.client_environ().items():
        monkeypatch.setenv(name, value)


def test_a_rest_client_reads_the_providers_api(house: House, app: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environ(house, monkeypatch)
    auth = jeton_dlt.JetonAuth(app_id=app, connector="sandbox")
    assert isinstance(auth, OAuth2AuthBase)
    client = RESTClient(base_url=house.provider, auth=auth)
    assert client.get("/api/whoami").json()
    pages = list(client.paginate("/api/items", paginator=SinglePagePaginator()))
    assert pages
    assert pages[0]


def test_a_pipeline_loads_what_the_api_has(house: House, app: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environ(house, monkeypatch)
    source = rest_api_source(
        {
            "client": {
                "base_url": house.provider,
                "auth": jeton_dlt.JetonAuth(app_id=app, connector="sandbox"),
                "paginator": "single_page",
            },
            "resources": [{"name": "items", "endpoint": {"path": "api/items"}}],
        }
    )
    assert list(source.resources["items"])


def test_its_fields_come_from_dlts_configuration(house: House, app: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url, client_id, secret = house.client_environ().values()
    fields = {"APP_ID": app, "CONNECTOR": "sandbox", "URL": url, "CLIENT_ID": client_id, "CLIENT_SECRET": secret}
    for name, value in fields.items():
        monkeypatch.setenv(f"SOURCES__CRM__AUTH__{name}", value)

    @dlt.resource
    def people(auth: jeton_dlt.JetonAuth = dlt.secrets.value) -> Any:
        assert secret not in repr(auth.source())
        yield RESTClient(base_url=house.provider, auth=auth).get("/api/whoami").json()

    @dlt.source(section="crm")
    def crm(auth: jeton_dlt.JetonAuth = dlt.secrets.value) -> Any:
        return people(auth)

    assert list(crm())


def test_a_refused_token_is_replaced_and_a_kept_one_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def giving(seen: Seen) -> Reply:
        generation = 2 if "rejected" in seen.target else 1
        return answer(handed(generation=generation, access_token=f"token-{generation}"))

    def api(seen: Seen) -> Reply:
        return answer([{"id": 1}], 200 if seen.headers["Authorization"] == "Bearer token-2" else 401)

    with scripted(signing_in(giving)) as server, scripted(api) as api_server:
        auth = jeton_dlt.JetonAuth(
            app_id="acme", connector="github", url=server.url, client_id="job", client_secret="secret-canary"
        )
        assert "canary" not in repr([auth, auth.source()])
        client = RESTClient(base_url=api_server.url, auth=auth)
        assert [client.get("/x").status_code for _ in range(3)] == [200] * 3
        assert server.targets() == [
            "/o/token/",
            "/acme/github/binb-token",
            "/acme/github/binb-token?rejected=1",
        ]
    assert dlt.__version__


def test_rows_are_not_what_the_api_says_to_a_dead_token(
    house: House, app: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ(house, monkeypatch)
    client = RESTClient(base_url=house.provider, auth=jeton_dlt.JetonAuth(app_id=app, connector="sandbox"))
    assert client.get("/api/whoami").json()
    house.revoke()
    with pytest.raises(jeton.ReauthorizeError) as told:
        list(client.paginate("/api/items", paginator=SinglePagePaginator()))
    assert f"/{app}/sandbox/signup" in str(told.value)


def test_a_copy_of_the_configuration_works(house: House, app: str, broker: Broker) -> None:
    """dlt copies configurations when it resolves a source."""
    url, client_id, secret = house.client_environ().values()
    auth = jeton_dlt.JetonAuth(app_id=app, connector="sandbox", url=url, client_id=client_id, client_secret=secret)
    assert RESTClient(base_url=house.provider, auth=auth).get("/api/whoami").status_code == 200
    assert RESTClient(base_url=house.provider, auth=auth.copy()).get("/api/whoami").status_code == 200
