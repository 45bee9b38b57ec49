"""Does the stand-in for Azure Key Vault behave as Microsoft's own client expects, and can that read what was kept?

    azure_judge.py BASE CERTIFICATE judge          goes through the life of a secret
    azure_judge.py BASE CERTIFICATE read NAME      prints the current value
    azure_judge.py BASE CERTIFICATE all NAME       prints the values of all versions
"""

import json
import sys
import time

import requests
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.keyvault.secrets import SecretClient

BASE, CERTIFICATE, WHAT, *REST = sys.argv[1:]


class Application:
    """What azure-identity would be: a token by client_credentials."""

    def get_token(self, *scopes, **_):
        form = {"grant_type": "client_credentials", "client_id": "app", "client_secret": "canary-azure-application-8d02c6"}
        form["scope"] = scopes[0]
        answer = requests.post(f"{BASE}/tenant/oauth2/v2.0/token", data=form, verify=CERTIFICATE, timeout=10)
        answer.raise_for_status()
        return AccessToken(answer.json()["access_token"], int(time.time()) + answer.json()["expires_in"])


def stub(word, value):
    requests.post(f"{BASE}/stub/{word}/{value}", verify=CERTIFICATE, timeout=10).raise_for_status()


def refused(status, call):
    try:
        call()
    except HttpResponseError as error:
        assert error.status_code == status, error
        return error
    raise AssertionError(f"no {status}")


CLIENT = SecretClient(BASE, Application(), verify_challenge_resource=False, connection_verify=CERTIFICATE)



def values(name):
    versions = CLIENT.list_properties_of_secret_versions(name)
    return sorted(CLIENT.get_secret(name, one.version).value for one in versions)


if WHAT == "read":
    print(CLIENT.get_secret(REST[0]).value)
    sys.exit()
if WHAT == "all":
    print(json.dumps(values(REST[0])))
    sys.exit()

assert isinstance(refused(404, lambda: CLIENT.get_secret("judged")), ResourceNotFoundError)
first = CLIENT.set_secret("judged", "one", content_type="application/json")
second = CLIENT.set_secret("judged", "two")
assert first.properties.version != second.properties.version
assert CLIENT.get_secret("judged").value == "two"
assert CLIENT.get_secret("judged", first.properties.version).value == "one"
versions = {one.version for one in CLIENT.list_properties_of_secret_versions("judged")}
assert versions == {first.properties.version, second.properties.version}
CLIENT.update_secret_properties("judged", second.properties.version, enabled=False)
assert "SecretDisabled" in str(refused(403, lambda: CLIENT.get_secret("judged")).error.innererror)
CLIENT.update_secret_properties("judged", second.properties.version, enabled=True)
stub("throttle", 1)
assert CLIENT.get_secret("judged").value == "two", "the client waits and asks again"
stub("deny", "set")
assert "ForbiddenByRbac" in str(refused(403, lambda: CLIENT.set_secret("judged", "three")).error.innererror)
stub("deny", "list")
assert "ForbiddenByRbac" in str(refused(403, lambda: values("judged")).error.innererror)
stub("deny", "none")
for number in range(26):
    CLIENT.set_secret("many", f"{number:02}")
assert values("many") == [f"{number:02}" for number in range(26)], "one more than a part"
for race, current in [("before", "ours"), ("after", "theirs")]:
    stub("race", race)
    CLIENT.set_secret(race, "ours")
    assert CLIENT.get_secret(race).value == current, "the last write counts"
    assert values(race) == ["ours", "theirs"], "and none is lost"
CLIENT.begin_delete_secret("judged").wait()
assert isinstance(refused(404, lambda: CLIENT.get_secret("judged")), ResourceNotFoundError)
refused(409, lambda: CLIENT.set_secret("judged", "four"))
CLIENT.begin_recover_deleted_secret("judged").wait()
assert CLIENT.get_secret("judged").value == "two"
print("judged")
