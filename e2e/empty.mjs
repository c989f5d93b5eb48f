// A service that nobody has set up, and the emulated clouds beside it.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { binary } from "./demo.mjs";

// A process that prints something to wait for.
const started = (args, stream, pattern) => new Promise((found, failed) => {
  const child = spawn(binary, args, { stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  const timer = setTimeout(() => { child.kill(); failed(new Error(`${args[0]} did not come up:\n${log}`)); }, 30_000);
  for (const one of ["stdout", "stderr"]) {
    child[one].on("data", (text) => {
      if (one !== stream) return;
      log += text;
      const seen = pattern.exec(log);
      if (seen) { clearTimeout(timer); found({ child, seen }); }
    });
  }
  child.on("exit", (code) => failed(new Error(`${args[0]} ended with ${code}:\n${log}`)));
});

const ended = (child) => new Promise((done) => {
  if (child.exitCode !== null) return done();
  child.once("exit", done);
  child.kill("SIGTERM");
});

// Starts both; `account` says whether there is an administrator already, else the link that makes one is waited for.
export async function startEmpty({ emulate = [], account } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "entrain-empty-"));
  const data = join(folder, "data");
  const { child: emulator, seen } = await started(["emulate", ...emulate], "stdout", /(\{.*\})\n/);
  const company = JSON.parse(seen[1]);
  const call = async (method, path, body) => {
    const answer = await fetch(`${company.control_url}${path}`, { method, body: JSON.stringify(body) });
    assert.ok(answer.ok, await answer.text());
  };
  const run = (args, input) => {
    const done = spawnSync(binary, ["--data-dir", data, ...args], { input, encoding: "utf8" });
    assert.equal(done.status, 0, done.stderr);
    return done.stdout;
  };
  const house = {
    company,
    run,
    connections: () => JSON.parse(run(["connection", "list", "--json"])),
    change: (...changes) => call("POST", "/world/changes", changes),
    settings: (changed) => call("PUT", "/settings", changed),
    serve: async () => {
      const args = ["serve", "--listen", house.url ? new URL(house.url).host : "127.0.0.1:0", "--data-dir", data];
      const wanted = account ? ["stdout", /console\s+(http:\S+)/] : ["stderr", /(http:\/\/127\.0\.0\.1:\d+)\/first\/[0-9a-f]{64}/];
      const { child, seen } = await started(args, ...wanted);
      [house.service, house.url, house.link] = [child, seen[1], seen[0]];
    },
    restart: async () => {
      await ended(house.service);
      await house.serve();
    },
    stop: async () => {
      for (const child of [house.service, emulator]) if (child) await ended(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
  try {
    if (account) run(["admin", "account", "create", account.name, "--role", "administrator", "--own"], `${account.password}\n`);
    await house.serve();
  } catch (error) {
    await house.stop();
    throw error;
  }
  return house;
}
