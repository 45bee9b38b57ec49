"""Do connectors of toucan-connectors get their tokens from the broker?"""

from __future__ import annotations

import copy

import pytest
from house import House, answer, handed, scripted, signing_in

import jeton
from jeton import Broker, Secret, Settings

toucan = pytest.importorskip("jeton.toucan", reason="toucan-connectors is not here")

from toucan_connectors.http_api.authentication_configs import AuthorizationCodeOauth2  # noqa: E402
from toucan_connectors.oauth2_connector.oauth2connector import (  # noqa: E402
    NoOAuth2RefreshToken,
    OAuth2Connector,
    OAuth2ConnectorConfig,
    SecretsKeeper,
)


def connector(keeper: SecretsKeeper, auth_flow_id: str) -> OAuth2Connector:
    return OAuth2Connector(
        auth_flow_id=auth_flow_id,
        authorization_url="https://api.example/authorize",
        scope="read",
        token_url="https://api.example/token",
        config=OAuth2ConnectorConfig(client_id="held by the broker", client_secret="held by the broker"),
        redirect_uri="https://app.example/callback",
        secrets_keeper=keeper,
    )


def test_an_oauth2_connector_gets_a_living_token(house: House, app: str, broker: Broker) -> None:
    house.connect(app, flow="61c9-7")
    keeper = toucan.JetonSecretsKeeper("sandbox", app_id=app, broker=broker)
    assert isinstance(keeper, SecretsKeeper)
    token = connector(keeper, "61c9-7").get_access_token()
    assert house.whoami(token) == 200
    assert connector(copy.deepcopy(keeper), "61c9-7").get_access_token() == token
    by_place = toucan.JetonSecretsKeeper("sandbox", broker=broker)
    assert connector(by_place, f"{app}/61c9-7").get_access_token() == token
    assert token not in repr(keeper.load("61c9-7"))


def test_a_token_is_refreshed_by_the_broker_and_never_here(house: House, app: str, broker: Broker) -> None:
    house.connect(app, flow="short", expires_in=90)
    keeper = toucan.JetonSecretsKeeper("sandbox", app_id=app, min_ttl=1800, broker=broker)
    assert house.whoami(connector(keeper, "short").get_access_token()) == 200
    assert broker.retrieve_token(app, "sandbox", flow="short").generation == 2
    with pytest.raises(NoOAuth2RefreshToken):
        connector(keeper, "short").get_access_data()


def test_a_kept_token_costs_nothing() -> None:
    with scripted(signing_in(lambda _: answer(handed()))) as server:
        keeper = toucan.JetonSecretsKeeper("github", broker=Broker(Settings(server.url, "job", Secret("s"))))
        for _ in range(3):
            assert connector(keeper, "acme/default").get_access_token() == "token-canary"
        assert server.targets() == ["/o/token/", "/acme/github/binb-token?flow=default"]


def test_fields_of_the_provider_are_loaded(house: House, app: str, broker: Broker) -> None:
    house.connect(app, "salesforce", expires_in=None)
    loaded = toucan.JetonSecretsKeeper("salesforce", broker=broker).load(app)
    assert loaded["instance_url"].startswith(house.provider)
    assert set(loaded) <= {"access_token", "token_type", "instance_url"}


def test_nothing_is_saved_from_here(app: str, broker: Broker) -> None:
    keeper = toucan.JetonSecretsKeeper("sandbox", app_id=app, broker=broker)
    with pytest.raises(jeton.ChangeRequestError, match="connected there, in the browser"):
        keeper.save("default", {"access_token": "token-canary"})
    http_keeper = toucan.http_secrets_keeper("sandbox", app_id=app, broker=broker)
    with pytest.raises(jeton.ChangeRequestError) as error:
        http_keeper.save("default", {"access_token": "token-canary"})
    assert "canary" not in str(error.value)


def test_an_account_that_is_not_connected_says_where(app: str, broker: Broker) -> None:
    keeper = toucan.JetonSecretsKeeper("github", app_id=app, broker=broker)
    with pytest.raises(jeton.ReauthorizeError, match=f"/{app}/github/signup"):
        connector(keeper, "").get_access_token()


def test_the_http_api_connector_signs_its_session_in(house: House, app: str, broker: Broker) -> None:
    config = AuthorizationCodeOauth2(
        kind="AuthorizationCodeOauth2",
        client_id="held by the broker",
        client_secret="held by the broker",
        authentication_url="https://api.example/authorize",
        token_url="https://api.example/token",
        scope="read",
        auth_flow_id=app,
    )
    config.set_secret_keeper(toucan.http_secrets_keeper("sandbox", broker=broker))
    session = config.authenticate_session()
    assert session.get(f"{house.provider}/api/whoami", timeout=30).status_code == 200


def test_a_connector_whose_oauth_is_managed_calls_retrieve_token(
    house: House, app: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheets = pytest.importorskip("toucan_connectors.google_sheets.google_sheets_connector")
    for name, value in house.client_environ().items():
        monkeypatch.setenv(name, value)
    places = {"authorization_url": f"{house.provider}/authorize", "token_url": f"{house.provider}/token"}
    definition = {"id": "google-sheets", "display_name": "Sheets", "scopes": ["read"], **places}
    house.admin("POST", "/connectors", definition)
    house.connect(app, "google-sheets")
    connector = sheets.GoogleSheetsConnector(name="sheets", auth_id=app, retrieve_token=jeton.retrieve_token)
    token = connector._call_retrieve_token()
    assert house.whoami(token) == 200
    absent = sheets.GoogleSheetsConnector(name="sheets", auth_id=f"{app}/no", retrieve_token=jeton.retrieve_token)
    with pytest.raises(sheets.GoogleSheetsRetrieveTokenError, match="signup"):
        absent._call_retrieve_token()
    assert absent.get_status().status is False
