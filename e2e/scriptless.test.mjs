// The settings without script: everything that can be done there is done by forms and links alone.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { browser, demo, open, signIn, stage } from "./demo.mjs";

stage();

const heading = async (page) => (await page.locator("h1").textContent()).trim();
const press = (page, name) => page.locator("main").getByRole("button", { name, exact: true }).click();
const path = (page) => new URL(page.url()).pathname;

// Somebody without script, signed in.
const visitor = async (role) => {
  const { context, page } = await open(browser, { javaScriptEnabled: false });
  if (role) await signIn(page, demo.url, role);
  return { context, page };
};

const enter = async (page, name, password) => {
  await page.goto(`${demo.url}/sign-in`);
  await page.fill("#name", name);
  await page.fill("#password", password);
  await page.click('form[action="/sign-in"] button');
};

test("an account is handed out, and its holder chooses a password, changes it and ends other sessions", { timeout: 120_000 }, async () => {
  const { context, page } = await visitor("administrator");
  await page.goto(`${demo.url}/settings/accounts`);
  await page.fill("#name", "Bo Lind");
  await page.check("#role-approver");
  await press(page, "Make the account");
  const given = await page.inputValue("#once");
  await page.getByRole("link", { name: "Back to the accounts" }).click();
  const row = page.locator("tr", { hasText: "Bo Lind" });
  assert.match(await row.textContent(), /password not changed yet/);

  const bo = await visitor();
  await enter(bo.page, "Bo Lind", given);
  assert.equal(await heading(bo.page), "Choose a password of your own");
  for (const [one, other, told] of [["short words", "short words", /between 12 and 256/], ["a row of few words", "another row of words", /not the same/]]) {
    await bo.page.locator("#password").fill(one);
    await bo.page.locator("#again").fill(other);
    // The browser's own check of the length stands before the service's
    await bo.page.locator("form").first().evaluate((form) => { form.noValidate = true; });
    await press(bo.page, "Change it and go on");
    assert.match(await bo.page.locator("#error").textContent(), told);
  }
  await bo.page.fill("#password", "a row of few words");
  await bo.page.fill("#again", "a row of few words");
  await press(bo.page, "Change it and go on");
  assert.equal(path(bo.page), "/connections/azure-ad");
  await page.goto(`${demo.url}/settings/accounts`);
  assert.doesNotMatch(await row.textContent(), /not changed yet/);
  assert.match(await row.textContent(), /signed in/);

  const elsewhere = await visitor();
  await enter(elsewhere.page, "Bo Lind", "a row of few words");
  assert.equal(path(elsewhere.page), "/connections/azure-ad");
  await bo.page.goto(`${demo.url}/account`);
  assert.equal(await bo.page.locator("#sessions-h").locator("xpath=ancestor::section").locator("li").count(), 2);
  await press(bo.page, "Sign out everywhere else");
  await elsewhere.page.goto(`${demo.url}/account`);
  assert.equal(path(elsewhere.page), "/sign-in");

  await bo.page.fill("#old", "not that one at all");
  await bo.page.fill("#password", "quite another row of words");
  await bo.page.fill("#again", "quite another row of words");
  await press(bo.page, "Change the password");
  assert.match(await bo.page.locator("#error").textContent(), /The old password is not right/);
  await bo.page.fill("#old", "a row of few words");
  await bo.page.fill("#password", "quite another row of words");
  await bo.page.fill("#again", "quite another row of words");
  await press(bo.page, "Change the password");
  assert.match(await bo.page.locator(".toast").textContent(), /The password has changed/);
  await enter(elsewhere.page, "Bo Lind", "a row of few words");
  assert.equal(path(elsewhere.page), "/sign-in");
  await enter(elsewhere.page, "Bo Lind", "quite another row of words");
  assert.equal(path(elsewhere.page), "/connections/azure-ad");
  for (const one of [context, bo.context, elsewhere.context]) await one.close();
});

test("an alert is taken on and a place is tested, and both are told in words", { timeout: 120_000 }, async () => {
  const { context, page } = await visitor("operator");
  await page.goto(`${demo.url}/settings/alerts`);
  // The plan of the demo waits; it is looked at every few seconds
  for (let n = 0; n < 60 && await page.locator("summary").count() === 0; n += 1) {
    await page.waitForTimeout(1_000);
    await page.reload();
  }
  await page.locator("summary").first().click();
  await page.locator("details[open] input[name=note]").fill("Bo <b>looks</b> at it");
  await page.locator("details[open] button").click();
  assert.match(await page.locator(".toast").textContent(), /Taken on/);
  assert.match(await page.locator("main").textContent(), /Taken on by The operator[\s\S]*Bo <b>looks<\/b> at it/);
  await page.getByRole("button", { name: /^Test/ }).first().click();
  assert.match(await page.locator("main").textContent(), /The test was taken/);
  await context.close();
});

test("a backup is downloaded, and a key is made and revoked", { timeout: 120_000 }, async () => {
  const { context, page } = await visitor("administrator");
  await page.goto(`${demo.url}/settings/backups`);
  const [download] = await Promise.all([page.waitForEvent("download"), press(page, "Make and download a backup")]);
  const lines = readFileSync(await download.path(), "utf8").trimEnd().split("\n");
  assert.equal(JSON.parse(lines[0]).format, "entrain-backup-1");
  assert.ok(JSON.parse(lines.at(-1)).rows > 100);
  await page.goto(`${demo.url}/settings/about`);
  assert.match(await heading(page), /^Entrain \d/);

  await page.goto(`${demo.url}/settings/keys`);
  await page.fill("#name", "figures");
  await page.check("#role-viewer");
  await press(page, "Make the key");
  const key = await page.inputValue("#once");
  const ask = () => fetch(`${demo.url}/api/v1/connections`, { headers: { authorization: `Bearer ${key}` } });
  assert.equal((await ask()).status, 200);
  await page.goto(`${demo.url}/settings/keys`);
  await page.getByRole("link", { name: "figures" }).click();
  await press(page, "Revoke the key");
  assert.equal(await heading(page), "figures is revoked");
  assert.equal((await ask()).status, 401);
  await context.close();
});
