// The rules as forms, against `entrain demo`: what a change would do before it is saved, expressions tried on people,
// versions and the way back.
import assert from "node:assert/strict";
import { test } from "node:test";
import { join } from "node:path";
import AxeBuilder from "@axe-core/playwright";
import { browser, demo, open, pictures, signIn, stage } from "./demo.mjs";

const RULES = "/connections/azure-ad/rules";
const FORMS = ["scope", "operations", "groups", "attributes", "leavers", "limits", "protected", "seats", "schedule", "alerts"];
stage();

const heading = async (page) => (await page.locator("h1").first().textContent()).trim();
const show = (page) => page.locator("main").getByRole("button", { name: "Show what it would change" }).last().click();

for (const javaScriptEnabled of [true, false]) {
  test(`a form shows what it would change before it is saved, ${javaScriptEnabled ? "with" : "without"} script`, async () => {
    const { context, page, trouble } = await open(browser, { javaScriptEnabled });
    await signIn(page, demo.url, "administrator");
    await page.goto(`${demo.url}${RULES}/limits`);
    const percent = javaScriptEnabled ? "7" : "8";
    await page.fill("#limits-removals_percent", "a few");
    await show(page);
    assert.match(await page.locator("#limits-removals_percent-e").textContent(), /is no whole number/);
    assert.equal(await page.locator("#limits-removals_percent").getAttribute("aria-invalid"), "true");
    await page.fill("#limits-removals_percent", percent);
    await show(page);
    assert.match(await page.locator(".diff ins", { hasText: "removals_percent" }).textContent(), new RegExp(`removals_percent = ${percent}`));
    assert.match(await page.locator("main").textContent(), /What it comes to/);
    assert.ok(!demo.run(["connection", "export", "Azure AD"]).includes(`removals_percent = ${percent}`), "nothing is saved yet");
    const why = `<b>Fewer</b> at a time: ${percent}`;
    await page.fill("#why", why);
    await page.getByRole("button", { name: "Save as a new version" }).click();
    await page.waitForURL((at) => at.pathname === `${RULES}/versions`);
    assert.ok((await page.locator("tbody tr").first().textContent()).includes(why), "the list says why");
    assert.ok((await page.locator("section", { has: page.locator("#diff-h") }).textContent()).includes(why), "and so does the comparison");
    assert.ok(demo.run(["connection", "versions", "Azure AD"]).includes(why));
    await page.goto(`${demo.url}/audit?kind=connection_set`);
    assert.ok((await page.locator("main").textContent()).includes(why), "and the audit log");
    assert.match(demo.run(["connection", "export", "Azure AD"]), new RegExp(`removals_percent = ${percent}`));
    assert.deepEqual(trouble, []);
    await context.close();
  });
}

test("a group is found in the mirror and picked", async () => {
  const { context, page } = await open(browser, { javaScriptEnabled: false });
  await signIn(page, demo.url, "administrator");
  await page.goto(`${demo.url}${RULES}/scope`);
  await page.fill("#find", "all st");
  await page.getByRole("button", { name: "Search groups" }).click();
  await page.getByLabel("All Staff takes part").check();
  await show(page);
  assert.match(await page.locator(".diff").textContent(), /\+ .*All Staff/);
  await context.close();
});

test("an expression is tried on real people, by the button and while typing", async () => {
  for (const javaScriptEnabled of [false, true]) {
    const { context, page, trouble } = await open(browser, { javaScriptEnabled });
    await signIn(page, demo.url, "administrator");
    await page.goto(`${demo.url}${RULES}/scope`);
    const tryIt = async () => { if (!javaScriptEnabled) await page.getByRole("button", { name: "Try", exact: true }).click(); };
    await page.fill("#scope-filter", "user.displayName.startsWith(\"A\")");
    await tryIt();
    await page.locator("#tried td .chip", { hasText: "left out" }).first().waitFor();
    assert.match(await page.locator("#tried").textContent(), /Understood\. \d+ (people|person) would take part, \d+ people now/);
    if (javaScriptEnabled) await page.screenshot({ path: join(pictures, "rules-tried.png"), fullPage: true });
    await page.fill("#scope-filter", "user.departmnt == \"A\"");
    await tryIt();
    await page.locator("#tried .bad").first().waitFor();
    assert.match(await page.locator("#tried").textContent(), /at character \d+.*departmnt/);
    await page.fill("#scope-filter", "");
    await page.fill("#who", "duarte");
    await tryIt();
    await page.locator("#tried tbody th", { hasText: /duarte/i }).first().waitFor();
    assert.deepEqual(trouble, []);
    await context.close();
  }
});

test("two versions are compared, and an earlier one comes back", async () => {
  const { context, page, trouble } = await open(browser);
  await signIn(page, demo.url, "administrator");
  await page.goto(`${demo.url}${RULES}/versions?from=1&to=3`);
  assert.match(await page.locator(".diff ins").last().textContent(), /removals_percent = 8/);
  assert.match(await page.locator("tbody").first().textContent(), /The administrator/);
  await page.getByRole("button", { name: "Go back to 1…" }).click();
  assert.match(await page.locator(".diff del").last().textContent(), /removals_percent = 8/);
  await page.getByRole("button", { name: "Save as a new version" }).click();
  await page.waitForURL((at) => at.pathname === `${RULES}/versions`);
  assert.match(await page.locator("tbody tr").first().textContent(), /^\s*4 in force[\s\S]*Back to version 1/);
  assert.ok(!demo.run(["connection", "export", "Azure AD"]).includes("removals_percent"));
  assert.deepEqual(trouble, []);
  await context.close();
});

test("what was exported comes in again as rules, its secrets sealed", async () => {
  const { context, page } = await open(browser);
  await signIn(page, demo.url, "administrator");
  const text = await page.evaluate(async (at) => (await fetch(at)).text(), `${RULES}/export`);
  assert.match(text, /client_secret = "sealed"/);
  await page.goto(`${demo.url}${RULES}/document`);
  await page.fill("#import", text.replace('name = "Azure AD"', 'name = "Another"') + "\n[protected]\ngroups = [\"Board\"]\n");
  await show(page);
  const diff = await page.locator(".diff").textContent();
  assert.match(diff, /\+ groups = \["Board"\]/);
  assert.ok(!diff.includes("Another"), diff);
  await context.close();
});

test("a viewer reads every form and changes none", async () => {
  const { context, page } = await open(browser);
  await signIn(page, demo.url, "viewer");
  for (const form of [...FORMS, "document", "versions"]) {
    await page.goto(`${demo.url}${RULES}/${form}`);
    assert.equal(await page.locator("main button").filter({ visible: true }).count(), form === "versions" ? 1 : 0, form);
  }
  await page.goto(`${demo.url}${RULES}/scope`);
  assert.ok(await page.locator("#scope-filter").isDisabled());
  const csrf = await page.locator("input[name=csrf]").first().inputValue();
  for (const address of [`${RULES}/scope`, RULES, `${RULES}/try`, `${RULES}/back`, `${RULES}/import`]) {
    const status = await page.evaluate(async ([address, csrf]) => {
      const answer = await fetch(address, { method: "POST", body: new URLSearchParams({ csrf }), redirect: "manual" });
      return answer.status;
    }, [address, csrf]);
    assert.equal(status, 403, address);
  }
  await context.close();
});

for (const colorScheme of ["light", "dark"]) {
  for (const [size, viewport] of [["phone", { width: 390, height: 844 }], ["desktop", { width: 1440, height: 900 }]]) {
    test(`axe finds nothing on the pages of the rules, ${colorScheme}, ${size}`, async () => {
      const { context, page, trouble } = await open(browser, { colorScheme, viewport });
      await signIn(page, demo.url, "administrator");
      const found = [];
      const look = async (name) => {
        await page.screenshot({ path: join(pictures, `rules-${name}-${size}-${colorScheme}.png`), fullPage: true });
        const { violations } = await new AxeBuilder({ page }).analyze();
        for (const one of violations) found.push(`${name}: ${one.id}: ${one.nodes[0].html} ${one.nodes[0].failureSummary}`);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        if (wide > 0) found.push(`${name}: ${wide} px wider than the window`);
      };
      for (const form of [...FORMS, "document", "versions"]) {
        await page.goto(`${demo.url}${RULES}/${form}`);
        await look(form);
      }
      await page.goto(`${demo.url}${RULES}/scope`);
      await page.fill("#scope-filter", "user.displayName.startsWith(\"A\")");
      await page.getByRole("button", { name: "Try", exact: true }).click();
      await look("tried");
      await page.fill("#scope-filter", "user.nothing");
      await show(page);
      await look("wrong");
      await page.goto(`${demo.url}${RULES}/scope`);
      await page.fill("#scope-filter", "user.displayName.startsWith(\"A\")");
      await show(page);
      await look("what-if");
      await page.locator("#why").evaluate((field) => { field.removeAttribute("maxlength"); field.value = "too long ".repeat(30); });
      await page.getByRole("button", { name: "Save as a new version" }).click();
      assert.match(await page.locator("#why-e").textContent(), /longer than 200 characters/);
      await look("why");
      assert.deepEqual(found, []);
      assert.deepEqual(trouble, []);
      await context.close();
    });
  }
}
