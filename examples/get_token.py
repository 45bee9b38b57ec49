import os, sys, requests

broker, app, connector = os.environ["JETON_URL"], sys.argv[1], sys.argv[2]
client = (os.environ["JETON_CLIENT_ID"], os.environ["JETON_CLIENT_SECRET"])
exits = {"retry": 75, "request_access": 77, "reauthorize": 78, "fix_configuration": 78}

signed_in = requests.post(f"{broker}/o/token/", auth=client, data={"grant_type": "client_credentials"}, timeout=60)
if signed_in.status_code != 200:
    sys.exit("the broker does not know this client, or is not well: " + signed_in.text)
bearer = {"Authorization": "Bearer " + signed_in.json()["access_token"]}
answer = requests.get(f"{broker}/{app}/{connector}/binb-token", headers=bearer, timeout=60)
body = answer.json()
if answer.status_code != 200:
    print(body["action"], body["detail"], body.get("signup_url", ""), file=sys.stderr)
    sys.exit(exits.get(body["action"], 1))
print("a token of generation", body["generation"], "that expires at", body["expires_at"])  # body["access_token"]
