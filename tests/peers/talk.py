"""A client's side of its conversation with the test: one JSON object a line, each way. Secrets come this way alone."""

import json
import sys


def told():
    """What the test says next, if anything; what the scripts need to know at first."""
    line = sys.stdin.readline()
    return json.loads(line) if line else None


def step(name, /, **outcome):
    """Tells the test what came of a step."""
    print(json.dumps({**outcome, "step": name}), flush=True)


def failure(call, *arguments, **named):
    """The error of a call that must fail."""
    try:
        call(*arguments, **named)
    except Exception as error:
        return error
    raise AssertionError("that should have failed")
