// The settings: accounts, keys, alerts, backups, about; with and without script, for each role.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { binary, browser, demo, inspect, open, signIn, stage } from "./demo.mjs";

stage();

const heading = (page) => page.locator("h1").textContent();
const press = (page, name) => page.locator("main").getByRole("button", { name, exact: true }).click();
const path = (page) => new URL(page.url()).pathname;

// Signs in with what was handed out, and stands before whatever comes then.
const enter = async (name, password) => {
  const { context, page } = await open(browser);
  await page.goto(`${demo.url}/sign-in`);
  await page.fill("#name", name);
  await page.fill("#password", password);
  await page.click('form[action="/sign-in"] button');
  return { context, page };
};

test("an account is made, used, changed, given another password and disabled", { timeout: 180_000 }, async () => {
  const { context, page, trouble } = await open(browser);
  await signIn(page, demo.url, "administrator");
  await page.goto(`${demo.url}/settings`);
  assert.equal(path(page), "/settings/accounts");
  assert.match(await heading(page), /people may sign in, \d of them (an administrator|administrators) with a password/);
  await inspect(page, "settings-accounts");
  await page.fill("#name", "Ana Ruiz");
  await page.check("#role-operator");
  await press(page, "Make the account");
  assert.equal(await heading(page), "Ana Ruiz may sign in");
  const first = await page.inputValue("#once");
  assert.match(first, /^([a-z2-9]{4}-){4}[a-z2-9]{4}$/);
  assert.ok(!page.url().includes(first));
  await inspect(page, "settings-once");

  const ana = await enter("Ana Ruiz", first);
  assert.equal(path(ana.page), "/account/new-password", "somebody else knows it");
  await ana.page.goto(`${demo.url}/audit?kind=sync`);
  assert.equal(path(ana.page), "/account/new-password", "nothing else opens");
  await inspect(ana.page, "new-password");
  const choose = async (chosen) => {
    await ana.page.fill("#password", chosen);
    await ana.page.fill("#again", chosen);
    await press(ana.page, "Change it and go on");
  };
  await choose(first);
  assert.match(await ana.page.locator("#error").textContent(), /the password you were given/);
  await inspect(ana.page, "new-password-refused");
  await choose("words of Ana alone");
  assert.equal(ana.page.url(), `${demo.url}/audit?kind=sync`, "and goes on where she wanted to");
  assert.equal((await ana.page.goto(`${demo.url}/settings/accounts`)).status(), 403);

  await page.getByRole("link", { name: "Back to the accounts" }).click();
  await page.getByRole("link", { name: "Ana Ruiz" }).click();
  assert.equal(await page.locator("#sessions-h + p").textContent(), "1");
  await inspect(page, "settings-account");
  await page.check("#role-administrator");
  await press(page, "Change the role");
  await page.getByText("The role has changed.").waitFor();
  assert.equal((await ana.page.goto(`${demo.url}/settings/accounts`)).status(), 200, "from the next request on");

  await press(page, "Make a new password");
  const second = await page.inputValue("#once");
  assert.notEqual(second, first);
  await ana.page.goto(`${demo.url}/settings/accounts`);
  assert.equal(path(ana.page), "/sign-in", "signed out by it");
  await ana.context.close();
  for (const [old, told] of [[first, "handed out"], ["words of Ana alone", "her own"]]) {
    const { context, page } = await enter("Ana Ruiz", old);
    assert.equal(path(page), "/sign-in", told);
    await context.close();
  }
  const again = await enter("Ana Ruiz", second);
  assert.equal(path(again.page), "/account/new-password", "handed out again");

  await page.getByRole("link", { name: "Back to the account" }).click();
  await press(page, "Disable");
  await page.getByText("Disabled, and signed out everywhere.").waitFor();
  await again.page.goto(`${demo.url}/account`);
  assert.equal(path(again.page), "/sign-in");
  await again.context.close();
  await press(page, "Enable");
  assert.equal(await heading(page), "Ana Ruiz may sign in");
  await page.goto(`${demo.url}/settings/accounts`);
  await page.getByRole("link", { name: "The administrator" }).click();
  await page.getByText("This is you").waitFor();
  assert.equal(await page.locator("main").getByRole("button", { name: "Disable" }).count(), 0);
  assert.deepEqual(trouble, []);
  await context.close();
});

for (const script of [true, false]) test(`${script ? "with" : "without"} script a name is refused beside its field, and a key is made, used and revoked`, { timeout: 120_000 }, async () => {
  const { context, page } = await open(browser, { javaScriptEnabled: script });
  const name = `nightly report ${script}`;
  const look = async (at) => { if (script) await inspect(page, at); };
  await signIn(page, demo.url, "administrator");
  await page.goto(`${demo.url}/settings/accounts`);
  await page.fill("#name", "THE VIEWER");
  await press(page, "Make the account");
  assert.match(await page.locator("#name-e").textContent(), /There is an account/);
  assert.equal(await page.inputValue("#name"), "THE VIEWER");
  await look("settings-accounts-refused");

  await page.goto(`${demo.url}/settings/keys`);
  await page.fill("#name", name);
  await page.fill("#days", "none");
  await press(page, "Make the key");
  assert.match(await page.locator("#days-e").textContent(), /number of days/);
  await page.fill("#days", "30");
  await press(page, "Make the key");
  const key = await page.inputValue("#once");
  assert.match(key, /^entrain_[0-9a-f]{16}_[0-9a-f]{64}$/);
  const ask = () => context.request.get(`${demo.url}/api/v1/connections`, { headers: { authorization: `Bearer ${key}` } });
  assert.equal((await ask()).status(), 200);
  await page.goto(`${demo.url}/settings/keys`);
  assert.ok(!(await page.content()).includes(key.split("_")[2]));
  await look("settings-keys");
  await page.getByRole("link", { name }).click();
  assert.match(await page.locator(".page-head .sub").textContent(), /Last used just now|Last used \d+ seconds ago/);
  await look("settings-key");
  await press(page, "Revoke the key");
  assert.equal(await heading(page), `${name} is revoked`);
  assert.equal((await ask()).status(), 401);
  await context.close();
});

test("alerts are taken on, and a place is tested with an answer in words", { timeout: 120_000 }, async () => {
  const { context, page, trouble } = await open(browser);
  await signIn(page, demo.url, "operator");
  await page.goto(`${demo.url}/settings/alerts`);
  // The plan of the demo waits; it is looked at every few seconds
  for (let n = 0; n < 30 && await page.locator("summary").count() === 0; n += 1) {
    await page.waitForTimeout(1_000);
    await page.reload();
  }
  assert.match(await heading(page), /somebody/);
  await page.locator("summary").first().click();
  await inspect(page, "settings-alerts");
  await page.locator("details[open] input[name=note]").fill("Marta looks at it");
  await page.locator("details[open] button").click();
  await page.getByText("Taken on by The operator").first().waitFor();
  await page.getByRole("button", { name: /^Test/ }).first().click();
  await page.getByRole("heading", { name: "The test was taken" }).waitFor();
  await inspect(page, "settings-alerts-tested");
  assert.deepEqual(trouble, []);
  await context.close();
});

test("a backup is downloaded and can be restored", { timeout: 120_000 }, async () => {
  const { context, page } = await open(browser);
  await signIn(page, demo.url, "administrator");
  await page.goto(`${demo.url}/settings/backups`);
  const [download] = await Promise.all([page.waitForEvent("download"), press(page, "Make and download a backup")]);
  assert.match(download.suggestedFilename(), /^entrain-\d{4}-\d\d-\d\d\.backup$/);
  const folder = mkdtempSync(join(tmpdir(), "entrain-restored-"));
  try {
    const file = join(folder, "entrain.backup");
    await download.saveAs(file);
    const done = spawnSync(binary, ["--data-dir", join(folder, "data"), "admin", "restore", file, "--without-secrets"], { encoding: "utf8" });
    assert.equal(done.status, 0, done.stderr);
    assert.match(done.stdout, /Restored [\d,]+ rows/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  await page.reload();
  assert.match(await heading(page), /The last backup was made (just now|\d+ seconds ago)/);
  await inspect(page, "settings-backups");
  await context.close();
});

test("everybody sees what the service is and their own account, and nothing that is not theirs", { timeout: 120_000 }, async () => {
  const { context, page, trouble } = await open(browser);
  await signIn(page, demo.url, "viewer");
  await page.goto(`${demo.url}/settings`);
  const parts = await page.locator("nav.tabs a").allTextContents();
  assert.deepEqual(parts, ["Alerts", "About", "Your account"]);
  await page.getByRole("link", { name: "About" }).click();
  assert.match(await heading(page), /^Entrain \d+\.\d+\.\d+, up for \d+ (second|minute)s?$/);
  await inspect(page, "settings-about");
  await page.locator("nav.tabs").getByRole("link", { name: "Your account" }).click();
  await inspect(page, "settings-own");
  for (const at of ["accounts", "keys", "backups"]) {
    assert.equal((await page.goto(`${demo.url}/settings/${at}`)).status(), 403, at);
  }
  assert.deepEqual(trouble, []);
  await context.close();
});
