"""The API of `entrain serve` under schemathesis: every operation of the OpenAPI document it serves, called with data that
fits the document and with data that does not. `schemathesis.toml` says what is held against the answers and why some of
them are expected. SCHEMATHESIS_SEED plays another course; the seed stands in the output."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from string import Template

import pytest

from conftest import ROOT, Emulator

HERE = ROOT / "tests/clients/python"
PROGRAM = os.environ.get("ENTRAIN_BIN") or str(ROOT / "target/debug/entrain")
FOLDER = ROOT / "target/tmp/schemathesis"


def stop(process):
    process.terminate()
    process.wait(timeout=20)


def entrain(*arguments):
    environment = dict(os.environ, ENTRAIN_DATA_DIR=str(FOLDER / "data"))
    ended = subprocess.run([PROGRAM, *arguments, "--json"], env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return json.loads(ended.stdout or "null")


def begun(*arguments):
    """A process of the program, and the JSON line with which it says that it is ready."""
    environment = dict(os.environ, ENTRAIN_DATA_DIR=str(FOLDER / "data"))
    with open(FOLDER / f"{arguments[0]}.log", "w") as log:
        process = subprocess.Popen([PROGRAM, *arguments], env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
    line = process.stdout.readline()
    assert line, f"{PROGRAM} {arguments[0]} ended before it was ready; see {FOLDER}"
    return process, json.loads(line)


def document(company, name, groups):
    quoted = json.dumps
    return f"""name = {quoted(name)}
[directory]
tenant_id = {quoted(company.tenant_id)}
client_id = {quoted(company.client_id)}
client_secret = {quoted(company.client_secret)}
authority_url = {quoted(company.authority_url)}
graph_url = {quoted(company.graph_url)}
[site]
url = {quoted(company.site_url)}
admin_email = {quoted(company.admin_email)}
api_token = {quoted(company.api_token)}
[scope]
groups = {quoted(groups)}
"""


class Service:
    """A running service over an emulated company: two connections, two runs, a key of an administrator and a spare one."""

    def __init__(self, company, url):
        self.url = url
        self.key = entrain("admin", "api-key", "create", "schemathesis", "--role", "administrator")["key"]
        spare = entrain("admin", "api-key", "create", "spare", "--role", "viewer")["id"]
        users, groups = company.directory
        names = sorted(group["displayName"] for group in groups.values())
        for name in ("Azure AD", "Spare"):
            self.call("PUT", f"/connections/{name.replace(' ', '%20')}", {"document": document(company, name, names[:2])})
        self.wait("/connections/azure-ad/preview")
        self.call("PUT", "/connections/azure-ad/mode", {"mode": "apply"})
        done = self.call("POST", "/connections/azure-ad/sync?wait")
        # Nearly everybody would go: more than a guard lets through
        few = document(company, "Azure AD", names[:2]) + "filter = 'user.displayName.startsWith(\"A\")'\n"
        self.call("PUT", "/connections/azure-ad", {"document": few})
        held = self.call("POST", "/connections/azure-ad/sync?wait&full")
        assert (done["status"], held["status"]) == ("converged", "held"), (done, held)
        self.variables = {
            "API_KEY": self.key,
            "API_SPARE_KEY": spare,
            "API_DOCUMENT": document(company, "Azure AD", names[:2]),
            "API_DOCUMENT_ANEW": document(company, "Azure AD", names[:3]),
            "API_DOCUMENT_WRONG": document(company, "Azure AD", names[:2]).replace("url", "urls"),
            "API_RUN_DONE": done["run_id"],
            "API_RUN_HELD": held["run_id"],
            "API_PERSON": sorted(user["userPrincipalName"] for user in users.values())[0],
            "API_GROUP": names[0],
        }

    def wait(self, path):
        """Asks until there is something."""
        for _ in range(100):
            try:
                return self.call("GET", path)
            except urllib.error.HTTPError as error:
                assert error.code == 404, error
                time.sleep(0.2)
        raise AssertionError(f"nothing at {path}")

    def call(self, method, path, body=None):
        request = urllib.request.Request(
            f"{self.url}/api/v1{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")


@pytest.fixture(scope="module")
def service():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    emulating, company = begun("emulate", "--people", "40", "--groups", "6", "--seed", "7")
    try:
        serving, ready = begun("serve", "--listen", "127.0.0.1:0", "--json")
        try:
            yield Service(Emulator(company), ready["url"])
        finally:
            stop(serving)
    finally:
        stop(emulating)


def test_the_api_is_as_its_document_says_and_never_fails(service):
    seed = os.environ.get("SCHEMATHESIS_SEED", "20261128")
    # A text in TOML is written as one in JSON
    words = {name: json.dumps(value)[1:-1] for name, value in service.variables.items()}
    settings = FOLDER / "schemathesis.toml"
    settings.write_text(Template((HERE / "schemathesis.toml").read_text()).substitute(words))
    program = Path(sys.executable).with_name("schemathesis")
    ended = subprocess.run(
        [program, "--no-color", "--config-file", settings, "run", f"{service.url}/api/v1/openapi.json", "--seed", seed],
        cwd=FOLDER,
        env=dict(os.environ, API_KEY=service.key, PYTHONPATH=str(HERE)),
        capture_output=True,
        text=True,
    )
    (FOLDER / "schemathesis.txt").write_text(ended.stdout + ended.stderr)
    assert ended.returncode == 0, f"seed {seed}\n{ended.stdout}\n{ended.stderr}"
    # It is still there, with what the requests needed, and nothing went wrong in it that no answer told
    assert service.call("GET", "/connections/azure-ad")["name"] == "Azure AD"
    assert service.call("GET", "/audit/verify")
    log = (FOLDER / "serve.log").read_text()
    assert "panicked" not in log and '"level":"ERROR"' not in log, log[-4000:]
