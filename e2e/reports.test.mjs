// Every report as a page and as a table, with and without script; and the audit log as a file.
import assert from "node:assert/strict";
import { test } from "node:test";
import { browser, demo, inspect, open, signIn, stage } from "./demo.mjs";

const REPORTS = ["leavers", "unlinked", "drift", "seats", "ladder", "credentials", "members"];

stage();

// The name of a group that Entrain manages.
const someGroup = async (page) => {
  await page.goto(`${demo.url}/connections/azure-ad/groups?find=Jira`);
  return (await page.locator("tbody th a").first().textContent()).trim();
};

test("each report is a page, and a table for spreadsheets", { timeout: 180_000 }, async () => {
  const { context, page, trouble } = await open(browser);
  await signIn(page, demo.url, "viewer");
  await page.goto(`${demo.url}/connections/azure-ad/reports`);
  assert.equal(await page.locator("tbody tr").count(), REPORTS.length);
  await inspect(page, "reports");
  const group = await someGroup(page);
  for (const report of REPORTS) {
    const asked = report === "members" ? `?group=${encodeURIComponent(group)}` : "";
    await page.goto(`${demo.url}/connections/azure-ad/reports/${report}${asked}`);
    await page.locator("#rows-h").waitFor();
    await inspect(page, `report-${report}`);
    const href = await page.locator("a[download]").first().getAttribute("href");
    const table = await context.request.get(`${demo.url}${href}`);
    assert.equal(table.status(), 200, report);
    assert.match(table.headers()["content-disposition"], new RegExp(`azure-ad-${report}\\.csv`));
    assert.match(await table.text(), /^[a-z_]+,[a-z_,]+\r\n/);
  }
  await page.goto(`${demo.url}/audit`);
  await inspect(page, "audit");
  await page.getByLabel("What").fill("create group");
  await page.getByRole("button", { name: "Look" }).click();
  await page.waitForURL(/kind=create/);
  const found = await page.locator("tbody th").allTextContents();
  assert.ok(found.length > 0 && found.every((what) => what === "create group"), found.join());
  await inspect(page, "audit-found");
  await page.getByLabel("Who").fill("nobody at all");
  await page.getByRole("button", { name: "Look" }).click();
  await page.getByText("No such entry").waitFor();
  const log = await context.request.get(`${demo.url}/audit/export`);
  const lines = (await log.text()).trim().split("\n").map((line) => JSON.parse(line));
  assert.ok(lines.length > 10 && lines.every((line, at) => line.seq === at + 1), "every entry, in order");
  assert.deepEqual(trouble, []);
  await context.close();
});

test("who was in a group is asked for without script", { timeout: 60_000 }, async () => {
  const { context, page } = await open(browser, { javaScriptEnabled: false });
  await signIn(page, demo.url, "viewer");
  const group = await someGroup(page);
  await page.goto(`${demo.url}/connections/azure-ad/reports/members`);
  assert.equal(await page.locator("#rows-h").count(), 0);
  await page.fill("#group", group);
  await page.getByRole("button", { name: "Show members" }).click();
  await page.locator("tbody tr").first().waitFor();
  await context.close();
});
