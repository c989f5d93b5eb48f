// The list of keys and what the keys do; the overview, where every number leads to what explains it.
import assert from "node:assert/strict";
import { test } from "node:test";
import AxeBuilder from "@axe-core/playwright";
import { browser, demo, inspect, open, signIn, stage } from "./demo.mjs";

const CONNECTION = "/connections/azure-ad";
stage();

test("? lists the keys, Escape gives the focus back, g and a letter go to a place", { timeout: 120_000 }, async () => {
  const { context, page, trouble } = await open(browser);
  await signIn(page, demo.url, "viewer");
  await page.locator("nav[aria-label=Main] a").first().focus();
  await page.keyboard.press("?");
  const list = page.getByRole("dialog", { name: "Keys" });
  await list.waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.textContent.trim()), "Close", "the focus is in the list");
  const { violations } = await new AxeBuilder({ page }).analyze();
  assert.deepEqual(violations.map((one) => `${one.id}: ${one.nodes[0].html}`), []);
  await inspect(page, "keys-palette");
  await page.keyboard.press("Escape");
  assert.ok(!(await list.isVisible()));
  assert.equal(await page.evaluate(() => document.activeElement.closest("nav") !== null), true, "the focus is where it was");
  for (const [letter, path] of [["p", "/plans"], ["e", "/people"], ["g", "/groups"], ["r", "/runs"], ["o", ""]]) {
    await page.keyboard.press("g");
    await page.keyboard.press(letter);
    await page.waitForURL((at) => at.pathname === `${CONNECTION}${path}`);
  }
  await page.goto(`${demo.url}${CONNECTION}/people`);
  await page.locator("main input[type=search], main input[name=find]").first().focus();
  await page.keyboard.type("gp?");
  assert.equal(new URL(page.url()).pathname, `${CONNECTION}/people`, "whoever types goes nowhere");
  assert.ok(!(await list.isVisible()));
  assert.deepEqual(trouble, []);
  await context.close();
});

test("without script the keys are a page", { timeout: 60_000 }, async () => {
  const { context, page } = await open(browser, { javaScriptEnabled: false });
  await signIn(page, demo.url, "viewer");
  await page.goto(demo.url);
  await page.locator("button.me").click();
  await page.getByRole("link", { name: "Keys" }).first().click();
  await page.waitForURL((at) => at.pathname === "/help/shortcuts");
  assert.ok(await page.locator("main kbd").count() >= 10);
  await context.close();
});

test("every number of the overview leads to what explains it", { timeout: 180_000 }, async () => {
  const { context, page, trouble } = await open(browser);
  await signIn(page, demo.url, "viewer");
  await page.goto(`${demo.url}${CONNECTION}`);
  await inspect(page, "overview");
  const hrefs = await page.locator("main a").evaluateAll((links) => links.map((link) => link.getAttribute("href")));
  for (const wanted of ["/people", "/groups", "/runs", "/lives", "/reports/drift", "/reports/seats", "/reports/ladder", "/reports/credentials"]) {
    assert.ok(hrefs.includes(`${CONNECTION}${wanted}`), wanted);
  }
  for (const href of new Set(hrefs)) {
    const answer = await context.request.get(`${demo.url}${href}`);
    assert.equal(answer.status(), 200, href);
  }
  assert.deepEqual(trouble, []);
  await context.close();
});
