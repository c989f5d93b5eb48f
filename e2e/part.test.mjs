// A held plan is approved in part: ticked with and without script, what it needs named, and the rest stays held.
import assert from "node:assert/strict";
import { test } from "node:test";
import { browser, demo, inspect, open, signIn, stage } from "./demo.mjs";

const CONNECTION = "/connections/azure-ad";
stage();

// The address of the plan that waits.
const waiting = async (page) => {
  await page.goto(`${demo.url}${CONNECTION}/plans`);
  return `${demo.url}${await page.getByRole("link", { name: "Review", exact: true }).getAttribute("href")}`;
};

const heldNow = async (page) => Number(/^([\d,]+)/.exec(await page.locator(".actionbar b").textContent())[1].replace(",", ""));

for (const javaScriptEnabled of [true, false]) {
  test(`two people of a held plan are approved, ${javaScriptEnabled ? "with" : "without"} script`, { timeout: 180_000 }, async () => {
    const { context, page, trouble } = await open(browser, { javaScriptEnabled });
    await signIn(page, demo.url, "approver");
    const plan = await waiting(page);
    await page.goto(`${plan}?show=leavers`);
    const before = await heldNow(page);
    if (javaScriptEnabled) await inspect(page, "part-plan");
    const boxes = page.locator("input[form=part][name=person]");
    await boxes.nth(0).check();
    await boxes.nth(1).check();
    const button = page.locator("[data-ticks]");
    if (javaScriptEnabled) assert.match(await button.textContent(), /^Approve \d+ ticked/);
    await button.click();
    await page.waitForURL(/\/part$/);
    const chosen = Number(/Approve (\d+) of/.exec(await page.locator("h1").textContent())[1]);
    assert.ok(chosen >= 2 && chosen < before);
    if (javaScriptEnabled) await inspect(page, "part-review");
    if (await page.locator("#number").count()) {
      await page.fill("#number", String(chosen + 1));
      await page.fill("#reason", "These two have left.");
      await page.getByRole("button", { name: `Approve ${chosen} steps` }).click();
      assert.match(await page.locator("[role=alert]").textContent(), /The number is not/);
      await page.fill("#number", String(chosen));
      await page.fill("#reason", "These two have left.");
    }
    await page.getByRole("button", { name: `Approve ${chosen} steps` }).click();
    await page.waitForURL(/\/runs\/[^/]+(\?|$)/);
    const run = page.url().split("?")[0];
    if (javaScriptEnabled) await page.locator("[data-over]").waitFor();
    for (let tries = 0; tries < 60 && !(await page.locator("[data-over]").count()); tries++) {
      await page.waitForTimeout(500);
      await page.goto(run);
    }
    assert.match(await page.locator("h1").textContent(), /done; the rest is held for a person/);
    await page.goto(await waiting(page));
    assert.equal(await heldNow(page), before - chosen, "the others wait as they did");
    await page.goto(plan.replace(/\/plan$/, ""));
    assert.match(await page.locator("main").textContent(), /The approver approved a part of it/);
    assert.deepEqual(trouble, []);
    await context.close();
  });
}

test("a whole section is ticked by one box; nothing ticked is nothing approved", { timeout: 120_000 }, async () => {
  const { context, page, trouble } = await open(browser);
  await signIn(page, demo.url, "approver");
  await page.goto(await waiting(page));
  await page.locator("[data-ticks]").click();
  await page.waitForURL(/\/part/);
  assert.equal((await page.locator("h1").textContent()).trim(), "Nothing is ticked");
  await inspect(page, "part-nothing");
  await page.goto(await waiting(page));
  const section = page.locator("input[form=part][name=section]").first();
  await section.check();
  await page.locator("input[form=part][name=person]").first().check();
  assert.equal(await page.locator("[data-ticks]").textContent(), "Approve 1 ticked…", "rows of a ticked section count with it");
  assert.deepEqual(trouble, []);
  await context.close();
});

for (const javaScriptEnabled of [true, false]) {
  test(`ticks outlast the page, ${javaScriptEnabled ? "with" : "without"} script`, { timeout: 120_000 }, async () => {
    const { context, page, trouble } = await open(browser, { javaScriptEnabled });
    await signIn(page, demo.url, "approver");
    const plan = await waiting(page);
    await page.goto(plan);
    const section = page.locator("input[form=part][name=section]").first();
    await section.check();
    await page.getByRole("button", { name: /^Leavers/ }).click();
    await page.waitForURL(/show=leavers/);
    const boxes = page.locator("input[form=part][name=person]");
    const name = (await boxes.nth(1).getAttribute("aria-label")).replace("Tick ", "");
    await boxes.nth(1).check();
    await page.locator("#find").fill(name);
    await page.locator("#find").press("Enter");
    await page.waitForURL(/find=/);
    assert.ok(await boxes.first().isChecked(), "what is found is ticked as it was");
    assert.match(await page.locator("#ticked").textContent(), /^2 boxes are ticked in this plan, 1 of them on other pages\./);
    if (javaScriptEnabled) {
      assert.equal(await page.locator("[data-ticks]").textContent(), "Approve 2 ticked…");
      await inspect(page, "part-ticked");
    }
    await boxes.first().uncheck();
    await page.getByRole("button", { name: /^All/ }).click();
    await page.goto(plan);
    assert.ok(await section.isChecked(), "also after the page was left");
    await page.getByRole("button", { name: "Untick all" }).click();
    assert.equal(await page.locator("input[form=part]:checked").count(), 0);
    assert.equal(await page.getByRole("button", { name: "Untick all" }).count(), 0);
    assert.deepEqual(trouble, []);
    await context.close();
  });
}
