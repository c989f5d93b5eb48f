"""Starts the emulator once for all tests. They hold what a client library returns against the emulator's own world, which
its control address tells."""

import json
import os
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


class Emulator:
    """A running emulator: its addresses and credentials as attributes, and its control address as methods."""

    def __init__(self, description):
        self.__dict__.update(description)

    def control(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.control_url + path, data=data, method=method, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or b"null")

    def change(self, *changes):
        return self.control("POST", "/world/changes", list(changes))

    @property
    def directory(self):
        """The directory as it is now: `users` and `groups` by id, each group's `members` as in a world file."""
        tenant = self.control("GET", "/world/export")["tenant"]
        return (
            {user["id"]: user for user in tenant["users"]},
            {group["id"]: group for group in tenant["groups"]},
        )

    @property
    def site(self):
        """The Jira site as it is now: accounts by id, and groups by name with the ids of their members."""
        site = self.control("GET", "/world/export")["atlassian"]
        accounts = {account["account_id"]: account for account in site["accounts"]}
        groups = {group["name"]: {**group, "members": set(group["members"])} for group in site["groups"]}
        return accounts, groups

    def token(self, secret=None):
        """A new access token for Graph, from the emulated sign-in."""
        form = urllib.parse.urlencode(
            {
                "grant_type": "client_credentials",
                "client_id": self.client_id,
                "client_secret": secret or self.client_secret,
                "scope": "https://graph.microsoft.com/.default",
            }
        ).encode()
        url = f"{self.authority_url}/{self.tenant_id}/oauth2/v2.0/token"
        with urllib.request.urlopen(url, data=form, timeout=10) as answer:
            return json.load(answer)


@pytest.fixture(scope="session")
def emulator():
    program = os.environ.get("ENTRAIN_BIN") or str(ROOT / "target/debug/entrain")
    process = subprocess.Popen(
        [program, "emulate", "--people", "300", "--groups", "20", "--seed", "7"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        assert line, f"{program} ended before it was ready"
        yield Emulator(json.loads(line))
    finally:
        process.terminate()
        process.wait(timeout=10)
