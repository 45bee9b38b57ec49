import sys
from jeton import Broker, JetonError

if len(sys.argv) != 3:
    print("usage: get_token.py APP CONNECTOR", file=sys.stderr)
    sys.exit(2)
app, connector = sys.argv[1:]
try:
    token = Broker().retrieve_token(app, connector)
except JetonError as error:
    print(error.action, error, file=sys.stderr)
    sys.exit(error.exit_code)
print("a token of generation", token.generation, "that expires at", token.expires_at)  # token.access_token
