# SPDX-License-Identifier: Apache-2.0
"""What every end-to-end test in Python needs: where the broker is, fresh names, waiting, a client or a loud skip."""
import importlib
import os
import secrets
import sys
import time

SKIP = 77
PATIENCE = 60.0  # seconds


def url(user="guest", password=None, vhost="%2F"):
    """The broker's address with other credentials."""
    where = os.environ["AMQP_URL"].split("@")[1].split("/")[0]
    return f"amqp://{user}:{password or user}@{where}/{vhost}"


def name(kind="q"):
    return f"{kind}-{secrets.token_hex(4)}"


def until(condition, what):
    """Polls until the condition holds, and returns what it gave."""
    deadline = time.monotonic() + PATIENCE
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"in {PATIENCE:.0f} s not: {what}")
        time.sleep(0.02)


def client(module):
    """The module, or the end of this test with a word about it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        print(f"SKIPPED: {module} is not installed ({error}); scripts/dependencies test installs it")
        sys.exit(SKIP)
