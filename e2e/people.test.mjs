// One person's page, whole, with its sync; and finding anything by a few letters, by keyboard and without script.
import assert from "node:assert/strict";
import { test } from "node:test";
import { browser, demo, inspect, open, signIn, stage } from "./demo.mjs";

stage();

for (const javaScriptEnabled of [true, false]) {
  test(`a person is told whole and synced, ${javaScriptEnabled ? "with" : "without"} script`, { timeout: 120_000 }, async () => {
    const { context, page, trouble } = await open(browser, { javaScriptEnabled });
    await signIn(page, demo.url, "operator");
    await page.goto(`${demo.url}/connections/azure-ad/people`);
    await page.locator("tbody th a").first().click();
    for (const heading of ["Both sides", "Groups in Jira", "Why not in a group?", "History"]) {
      await page.getByRole("heading", { name: heading }).waitFor();
    }
    if (javaScriptEnabled) await inspect(page, "people-person");
    await page.getByRole("button", { name: "Sync now" }).click();
    await page.getByRole("status").filter({ hasText: "Synced." }).waitFor();
    await page.goto(`${demo.url}/connections/azure-ad/groups`);
    await page.locator("tbody th a").first().click();
    await page.getByRole("heading", { name: "Members of both sides" }).waitFor();
    if (javaScriptEnabled) await inspect(page, "people-group");
    assert.deepEqual(trouble, []);
    await context.close();
  });
}

test("the palette finds a person as somebody types, by keyboard alone", { timeout: 120_000 }, async () => {
  const { context, page, trouble } = await open(browser);
  await signIn(page, demo.url, "viewer");
  await page.goto(`${demo.url}/connections/azure-ad/people`);
  const name = (await page.locator("tbody th a").first().textContent()).trim();
  await page.keyboard.press("/");
  await page.keyboard.type(name.toUpperCase());
  await page.locator("#palette [data-found] a").filter({ hasText: name }).first().waitFor();
  await inspect(page, "people-palette");
  await page.keyboard.press("ArrowDown");
  const chosen = page.locator('#palette [aria-selected="true"]');
  assert.match(await chosen.textContent(), new RegExp(name));
  assert.equal(await page.locator("#palette input").getAttribute("aria-activedescendant"), await chosen.getAttribute("id"));
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/person\?who=/);
  await page.keyboard.press("/");
  await page.keyboard.press("Escape");
  assert.ok(!(await page.locator("#palette").isVisible()));
  assert.deepEqual(trouble, []);
  await context.close();
});

test("without script, search is a page", { timeout: 60_000 }, async () => {
  const { context, page } = await open(browser, { javaScriptEnabled: false });
  await signIn(page, demo.url, "viewer");
  await page.goto(`${demo.url}/search`);
  await page.fill("#for", "audit");
  await page.locator("main button").click();
  await page.locator("#results a", { hasText: "Audit" }).click();
  await page.waitForURL(/\/audit$/);
  await context.close();
  const { context: again, page: inspected } = await open(browser);
  await signIn(inspected, demo.url, "viewer");
  await inspected.goto(`${demo.url}/search?q=a`);
  await inspect(inspected, "people-search");
  await again.close();
});
