"""The job's side in Python: a token from the broker, or the exit code that says what to do."""
import os
import sys

import requests

EXIT = {"retry": 75, "request_access": 77, "reauthorize": 78, "fix_configuration": 78}
broker, app, connector = os.environ["JETON_URL"].rstrip("/"), sys.argv[1], sys.argv[2]

client = (os.environ["JETON_CLIENT_ID"], os.environ["JETON_CLIENT_SECRET"])
answer = requests.post(f"{broker}/o/token/", auth=client, data={"grant_type": "client_credentials"}, timeout=60)
if answer.status_code != 200:
    sys.exit(75 if answer.status_code >= 500 else 77)
bearer = {"Authorization": "Bearer " + answer.json()["access_token"]}

answer = requests.get(f"{broker}/{app}/{connector}/binb-token", params={"min_ttl": 600}, headers=bearer, timeout=60)
if answer.status_code != 200:
    problem = answer.json()
    print(problem["action"], problem["detail"], problem.get("signup_url", ""), file=sys.stderr)
    sys.exit(EXIT.get(problem["action"], 1))
print("expires in", answer.json()["expires_in"])  # the token itself: answer.json()["access_token"]
