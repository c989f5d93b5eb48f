// A service that nobody has an account of yet.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import AxeBuilder from "@axe-core/playwright";
import { binary, open, password, pictures, startBrowser } from "./demo.mjs";

let folder, service, link, browser;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "entrain-first-"));
  service = spawn(binary, ["serve", "--listen", "127.0.0.1:0", "--data-dir", join(folder, "data")], { stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  link = await new Promise((found, failed) => {
    const timer = setTimeout(() => failed(new Error(`no link was printed:\n${log}`)), 60_000);
    service.stderr.on("data", (text) => {
      log += text;
      const seen = /http:\/\/127\.0\.0\.1:\d+\/first\/[0-9a-f]{64}/.exec(log);
      if (seen) { clearTimeout(timer); found(seen[0]); }
    });
    service.on("exit", (code) => failed(new Error(`the service ended with ${code}:\n${log}`)));
  });
  browser = await startBrowser();
}, { timeout: 120_000 });

after(async () => {
  await browser?.close();
  if (service?.exitCode === null) {
    const ended = new Promise((done) => service.once("exit", done));
    service.kill("SIGTERM");
    await ended;
  }
  rmSync(folder, { recursive: true, force: true });
}, { timeout: 60_000 });

test("the link in the log makes the first administrator, once", async () => {
  const { context, page, trouble } = await open(browser);
  const url = new URL(link).origin;
  await page.goto(url);
  assert.equal(await page.locator("h1").textContent(), "Nobody has an account yet");
  await page.goto(link);
  await page.screenshot({ path: join(pictures, "first.png") });
  const { violations } = await new AxeBuilder({ page }).analyze();
  assert.deepEqual(violations.map((one) => `${one.id}: ${one.nodes[0].html}`), []);
  await page.fill("#name", "Marta Lindqvist");
  await page.fill("#password", password);
  await page.fill("#again", "not the same words");
  await page.click("button.primary");
  assert.match(await page.locator("[role=alert]").textContent(), /not the same/);
  await page.fill("#password", password);
  await page.fill("#again", password);
  await page.click("button.primary");
  await page.waitForURL(`${url}/setup`);
  assert.equal(await page.locator("h1").textContent(), "Nothing is connected yet");
  assert.match(await page.locator("button.me").textContent(), /Marta Lindqvist\s+Administrator/);
  await page.goto(link);
  assert.equal(await page.locator("h1").textContent(), "There is nothing here");
  assert.deepEqual(trouble, []);
  await context.close();
});
