// The demo, running, and a browser that looks at it.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before } from "node:test";
import AxeBuilder from "@axe-core/playwright";
import { chromium } from "playwright-core";

export const binary = resolve(process.env.ENTRAIN_BIN ?? "target/debug/entrain");
const browserPath = process.env.CHROMIUM_BIN ?? "/usr/bin/chromium";
export const pictures = resolve(process.env.E2E_PICTURES ?? "target/e2e");
export const password = "several words in a row";

// The demo and the browser of a test file that called stage(); each file is a process of its own.
export let demo, browser;

// Has a demo and a browser begun before the first test of a file and ended after the last.
export const stage = () => {
  before(async () => {
    demo = await startDemo();
    browser = await startBrowser();
  }, { timeout: 180_000 });
  after(async () => {
    await browser?.close();
    await demo?.stop();
  }, { timeout: 60_000 });
};

// Starts `entrain demo` and waits until it has printed the link into the console.
export async function startDemo() {
  const folder = mkdtempSync(join(tmpdir(), "entrain-e2e-"));
  const data = join(folder, "data");
  const child = spawn(binary, ["demo", "--data-dir", data], { stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let errors = "";
  child.stderr.on("data", (text) => { errors += text; });
  const link = await new Promise((found, failed) => {
    const timer = setTimeout(() => failed(new Error(`the demo did not come up:\n${out}\n${errors}`)), 120_000);
    child.stdout.on("data", (text) => {
      out += text;
      const seen = /(http:\/\/127\.0\.0\.1:\d+)\/enter\/[0-9a-f]{64}/.exec(out);
      if (seen && out.includes("Ctrl-C ends it")) { clearTimeout(timer); found(seen); }
    });
    child.on("exit", (code) => failed(new Error(`the demo ended with ${code}:\n${out}\n${errors}`)));
  });
  const control = /make its clouds fail: (http:\S+)/.exec(out)[1];
  const run = (args, input) => {
    const done = spawnSync(binary, ["--data-dir", data, ...args], { input, encoding: "utf8" });
    if (done.status !== 0) throw new Error(`entrain ${args.join(" ")}: ${done.status}\n${done.stdout}${done.stderr}`);
    return done.stdout;
  };
  for (const role of ["viewer", "operator", "approver", "administrator"]) {
    run(["admin", "account", "create", `The ${role}`, "--role", role, "--own"], `${password}\n`);
  }
  const change = async (...changes) => {
    const answer = await fetch(`${control}/world/changes`, { method: "POST", body: JSON.stringify(changes) });
    if (!answer.ok) throw new Error(`the world did not change: ${await answer.text()}`);
    return answer.json();
  };
  const stop = async () => {
    if (child.exitCode === null) {
      const ended = new Promise((done) => child.once("exit", done));
      child.kill("SIGTERM");
      await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  return { url: link[1], link: link[0], run, change, stop };
}

export async function startBrowser() {
  mkdirSync(pictures, { recursive: true });
  return chromium.launch({ executablePath: browserPath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}

// A browser window of its own; whatever a page executes or complains about lands in `trouble`.
export async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const trouble = [];
  page.on("dialog", (dialog) => { trouble.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("pageerror", (error) => trouble.push(`script: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error" && !/status of (4|5)\d\d/.test(message.text())) trouble.push(message.text());
  });
  return { context, page, trouble };
}

export async function signIn(page, url, role) {
  await page.goto(`${url}/sign-in`);
  await page.fill("#name", `The ${role}`);
  await page.fill("#password", password);
  await page.click('form[action="/sign-in"] button');
  await page.waitForURL((at) => !at.pathname.startsWith("/sign-in"));
}

// Looks at a page as it is: at a desk and on a phone, in light and dark; a picture of each, nothing for axe, nothing too wide.
export const inspect = async (page, name) => {
  for (const [width, height] of [[1440, 900], [390, 844]]) {
    for (const colorScheme of ["light", "dark"]) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: join(pictures, `${name}-${width}-${colorScheme}.png`), fullPage: !name.includes("palette"), animations: "disabled" });
      const { violations } = await new AxeBuilder({ page }).analyze();
      assert.deepEqual(violations.map((one) => `${name} ${width} ${colorScheme} ${one.id}: ${one.nodes[0].html}`), []);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${name} ${width}: ${wide} px too wide`);
    }
  }
  await page.setViewportSize({ width: 1440, height: 900 });
};
