"""A pipeline that gets its token as it did from django-oauth-toolkit: one form, with the secret in it, and no scope."""

import requests
from talk import step, told

settings = told()
broker = settings["issuer"]

answer = requests.post(
    f"{broker}/o/token/",
    data={"grant_type": "client_credentials", "client_id": settings["id"], "client_secret": settings["secret"]},
)
step("token", status=answer.status_code, **answer.json())
headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
step("handed out", **requests.get(f"{broker}/{settings['audience']}/binb-token", headers=headers).json())
