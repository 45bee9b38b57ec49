"""What a person's script gets after `jeton login`: a token of a connected account, and AWS keys, both for a while."""
import json, os, subprocess, sys
import boto3

jeton = ["jeton", "token", os.environ["APP"], os.environ["CONNECTOR"], "--format", "json"]
told = subprocess.run(jeton, stdout=subprocess.PIPE, text=True)
if told.returncode:
    sys.exit(told.returncode)  # jeton has said why
token = json.loads(told.stdout)
print("a token of", token["app_id"], token["connector"], "until", token["expires_at"])  # token["access_token"]

session = boto3.Session(profile_name=os.environ["PROFILE"])  # its credential_process is `jeton aws-credentials`
print("AWS keys of", session.client("sts", region_name="us-east-1").get_caller_identity()["Arn"])
