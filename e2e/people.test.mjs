// One person's page, whole, with its sync; and finding anything by a few letters, by keyboard and without script.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
    await page.getByText("Entrain reads the members of groups that take part").waitFor();
    assert.equal(await page.locator("dl.readout").count(), 0, "what was not read is not told as nobody");
    if (javaScriptEnabled) await inspect(page, "people-group");
    assert.deepEqual(trouble, []);
    await context.close();
  });
}

test("a group says whose each membership is, who approved what, and why somebody is not in it", { timeout: 120_000 }, async () => {
  const { context, page, trouble } = await open(browser, { javaScriptEnabled: false });
  await signIn(page, demo.url, "viewer");
  await page.goto(`${demo.url}/connections/azure-ad/groups?find=jira+engineering`);
  await page.locator("tbody th a").first().click();
  for (const told of ["Members in Entra", "To be done", "Changed by hand in Jira", "Mode"]) {
    await page.locator("dl.readout dt", { hasText: told }).waitFor();
  }
  const row = page.locator("tbody tr").first();
  assert.match(await row.textContent(), /to be taken out\s*Entrain/);
  const waits = page.locator(".stat", { hasText: "To be done" });
  assert.match(await waits.textContent(), /17\s*0 to put in, 17 to take out/);
  assert.match(await page.locator(".stat", { hasText: "Mode" }).textContent(), /managed/);
  // The demo's history has an approval, and what it did was taken back
  const event = page.locator("section[aria-labelledby=hist-h] li", { hasText: "Approved by" }).first();
  assert.match(await event.textContent(), /taken out[\s\S]*Approved by/);
  const why = await event.getByRole("link", { name: "why" }).getAttribute("href");
  assert.equal((await page.goto(`${demo.url}${why}`)).status(), 200);
  await page.goBack();
  const { context: seeing, page: seen } = await open(browser);
  await signIn(seen, demo.url, "viewer");
  await seen.goto(page.url());
  await inspect(seen, "people-group-managed");
  await seeing.close();
  await page.fill("#who", "lars.nygrd@windrose.example");
  await page.locator("section[aria-labelledby=not-h] button").click();
  await page.waitForURL(/\/person\?group=Jira\+Engineering&who=lars/);
  assert.match(await page.locator("h1").textContent(), /Lars/);
  assert.deepEqual(trouble, []);
  await context.close();
});

test("a leaver's page says where they stand on the ladder, what comes next, and what cancels it", { timeout: 120_000 }, async () => {
  const { context, page, trouble } = await open(browser);
  await signIn(page, demo.url, "viewer");
  await page.goto(`${demo.url}/connections/azure-ad/reports/ladder`);
  const name = (await page.locator("tbody td").first().textContent()).trim();
  await page.goto(`${demo.url}/connections/azure-ad/people?find=${encodeURIComponent(name)}`);
  await page.locator("tbody th a").first().click();
  const ladder = page.locator("section[aria-labelledby=ladder-h]");
  const told = page.locator("section[aria-labelledby=why-h] li", { has: page.locator(".k", { hasText: /^ladder$/ }) });
  assert.match(await page.locator("h1").textContent(), new RegExp(name));
  assert.match(await ladder.textContent(), /Left\s*Disabled[\s\S]*Groups off[\s\S]*No further rung/);
  assert.match(await told.textContent(), /disabled[\s\S]*Cancelled by enabling the user in Entra ID; the next run then/i);
  await inspect(page, "people-ladder");
  // A rung more, and the page says when it comes
  const folder = mkdtempSync(join(tmpdir(), "entrain-ladder-"));
  try {
    const file = join(folder, "connection.toml");
    writeFileSync(file, `${demo.run(["connection", "export", "Azure AD"])}\n[leavers]\nremove_after = "30d"\n`);
    demo.run(["connection", "set", file, "--why", "Seats come back after a month"]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  await page.reload();
  assert.match(await ladder.locator("li.now").textContent(), /Remove from the site\s*Due/);
  const due = Date.parse(await ladder.locator("li.now time").getAttribute("datetime"));
  assert.ok(Math.abs(due - Date.now() - 30 * 86_400_000) < 3_600_000, "a month after they left");
  assert.match(await told.textContent(), /remove/i);
  await inspect(page, "people-ladder-next");
  assert.deepEqual(trouble, []);
  await context.close();
});

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
