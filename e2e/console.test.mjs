// The console against `entrain demo`, as people use it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { join } from "node:path";
import AxeBuilder from "@axe-core/playwright";
import { browser, demo, open, pictures, signIn, stage } from "./demo.mjs";

const HOSTILE = `"><script>window.hacked=1</script><img src=x onerror="window.hacked=1">Eve`;
const CONNECTION = "/connections/azure-ad";
stage();

const heading = async (page) => (await page.locator("h1").first().textContent()).trim();

// The run whose plan waits.
const waiting = async (page) => {
  await page.goto(`${demo.url}${CONNECTION}/plans`);
  const href = await page.getByRole("link", { name: "Review", exact: true }).getAttribute("href");
  return href.split("/")[2];
};

const every = async (page) => {
  const run = await waiting(page);
  await page.goto(`${demo.url}/runs/${run}/plan`);
  const why = await page.locator(".plan-row a[data-inline]").first().getAttribute("href");
  await page.goto(`${demo.url}${CONNECTION}/runs`);
  const links = () => page.locator("tbody a").evaluateAll((links) => links.map((link) => link.getAttribute("href")));
  const runs = await links();
  await page.goto(`${demo.url}${CONNECTION}/people?find=duarte`);
  const [person] = await links();
  await page.goto(`${demo.url}${CONNECTION}/groups?find=jira+engineering`);
  const [group] = await links();
  return {
    overview: CONNECTION,
    lives: `${CONNECTION}/lives`,
    plans: `${CONNECTION}/plans`,
    plan: `/runs/${run}/plan`,
    why,
    runs: `${CONNECTION}/runs`,
    run: runs.at(-1),
    connections: "/connections",
    setup: `${CONNECTION}/setup`,
    people: `${CONNECTION}/people`,
    person,
    "person-in-group": `${person}&group=Jira+Engineering`,
    groups: `${CONNECTION}/groups`,
    group,
    rules: `${CONNECTION}/rules`,
    audit: "/audit",
    chain: "/audit/chain",
    account: "/account",
    nothing: "/nothing-here",
  };
};

test("the link of the demo signs in once, and never again", async () => {
  const { context, page } = await open(browser);
  await page.goto(demo.link);
  assert.match(await heading(page), /^Sign in as Demo Administrator/);
  await page.click("button.primary");
  await page.waitForURL((at) => at.pathname === CONNECTION);
  assert.equal(await heading(page), "One plan waits for a person");
  await context.close();
  const again = await open(browser);
  await again.page.goto(demo.link);
  assert.equal(await heading(again.page), "There is nothing here");
  await again.context.close();
});

test("a wrong password is told beside the form, a right one leads on, and signing out ends it", async () => {
  const { context, page, trouble } = await open(browser);
  await page.goto(`${demo.url}${CONNECTION}/setup`);
  assert.equal(new URL(page.url()).pathname, "/sign-in");
  await page.fill("#name", "The viewer");
  await page.fill("#password", "not this one at all");
  await page.click('form[action="/sign-in"] button');
  assert.match(await page.locator("[role=alert]").textContent(), /Name or password are not right/);
  await page.fill("#password", "several words in a row");
  await page.click('form[action="/sign-in"] button');
  await page.waitForURL((at) => at.pathname === `${CONNECTION}/setup`);
  await page.click("button.me");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL((at) => at.pathname === "/sign-in");
  await page.goto(`${demo.url}${CONNECTION}`);
  assert.equal(new URL(page.url()).pathname, "/sign-in");
  assert.deepEqual(trouble, []);
  await context.close();
});

test("roles: a viewer looks at everything and starts nothing", async () => {
  const { context, page } = await open(browser);
  await signIn(page, demo.url, "viewer");
  assert.equal(await page.getByRole("button", { name: "Sync now" }).count(), 0);
  const run = await waiting(page);
  await page.goto(`${demo.url}/runs/${run}/plan`);
  assert.match(await heading(page), /^Held: /);
  assert.ok(await page.getByRole("button", { name: "Approve…" }).isDisabled());
  assert.equal(await page.getByRole("button", { name: "Reject" }).count(), 0);
  const csrf = await page.locator("input[name=csrf]").first().inputValue();
  for (const address of [`/runs/${run}/approve`, `/runs/${run}/reject`, `${CONNECTION}/sync`, `${CONNECTION}/mode`]) {
    const status = await page.evaluate(async ([address, csrf]) => {
      const answer = await fetch(address, { method: "POST", body: new URLSearchParams({ csrf }), redirect: "manual" });
      return answer.status;
    }, [address, csrf]);
    assert.equal(status, 403, address);
  }
  await context.close();
});

test("by keyboard: / opens the palette, typing narrows it, Enter goes there", async () => {
  const { context, page, trouble } = await open(browser);
  await signIn(page, demo.url, "viewer");
  await page.keyboard.press("/");
  assert.ok(await page.locator("#palette").isVisible());
  await page.keyboard.press("ArrowDown");
  assert.equal(await page.evaluate(() => document.activeElement.closest("#palette") !== null), true);
  await page.keyboard.press("Escape");
  assert.ok(!(await page.locator("#palette").isVisible()));
  assert.deepEqual(trouble, []);
  await context.close();
});

test("an opened row of a plan shows its explanation in place", async () => {
  const { context, page } = await open(browser);
  await signIn(page, demo.url, "viewer");
  await page.goto(`${demo.url}/runs/${await waiting(page)}/plan`);
  await page.locator(".plan-row summary").first().click();
  await page.locator(".plan-row[open] .chain li").first().waitFor();
  await context.close();
});

for (const [size, viewport] of [["desktop", { width: 1440, height: 900 }], ["phone", { width: 390, height: 844 }]]) {
  for (const colorScheme of ["light", "dark"]) {
    test(`axe finds nothing on any page: ${size}, ${colorScheme}`, async () => {
      const { context, page, trouble } = await open(browser, { viewport, colorScheme, hasTouch: size === "phone" });
      await page.goto(`${demo.url}/sign-in`);
      const found = [];
      const look = async (name) => {
        await page.evaluate(() => [...document.querySelectorAll("details")].slice(0, 3).forEach((details) => { details.open = true; }));
        await page.screenshot({ path: join(pictures, `${name}-${size}-${colorScheme}.png`), fullPage: true });
        const { violations } = await new AxeBuilder({ page }).analyze();
        for (const one of violations) found.push(`${name}: ${one.id}: ${one.nodes[0].html} ${one.nodes[0].failureSummary}`);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        if (wide > 0) found.push(`${name}: ${wide} px wider than the window`);
      };
      await look("sign-in");
      await signIn(page, demo.url, "administrator");
      for (const [name, address] of Object.entries(await every(page))) {
        await page.goto(`${demo.url}${address}`);
        await look(name);
      }
      await page.goto(`${demo.url}/runs/${await waiting(page)}/plan`);
      await page.getByRole("button", { name: "Approve…" }).click();
      await look("approve");
      await page.goto(demo.url);
      await page.click("button.find");
      await look("palette");
      await page.goto(demo.url);
      await page.click("button.me");
      await look("account-menu");
      assert.deepEqual(found, []);
      assert.deepEqual(trouble, []);
      await context.close();
    });
  }
}

test("every page says the same without script", async () => {
  const { context, page } = await open(browser, { javaScriptEnabled: false });
  await signIn(page, demo.url, "administrator");
  for (const [name, address] of Object.entries(await every(page))) {
    await page.goto(`${demo.url}${address}`);
    assert.ok((await heading(page)).length > 3, name);
    assert.ok(await page.locator("nav[aria-label=Main] a").count() >= 3, name);
  }
  await page.locator("button.switch").click();
  assert.ok(await page.locator("#connections").isVisible(), "menus open without script");
  await context.close();
});

test("light or dark is kept", async () => {
  const { context, page } = await open(browser, { colorScheme: "light" });
  await signIn(page, demo.url, "viewer");
  await page.click("button.me");
  const kept = page.waitForResponse((answer) => answer.url().endsWith("/theme"));
  await page.locator("input[name=theme][value=dark]").check({ force: true });
  await kept;
  await page.reload();
  assert.equal(await page.locator("html").getAttribute("data-theme"), "dark");
  await context.close();
});

test("hostile names from the clouds execute nothing", async () => {
  const made = await demo.change({
    change: "create_user",
    user: { displayName: HOSTILE, userPrincipalName: "eve@windrose.example", mail: "eve@windrose.example", accountEnabled: true },
  });
  await demo.change({ change: "add_member", group: "Jira Engineering", member: { type: "user", id: made.ids[0] } });
  const { context, page, trouble } = await open(browser);
  await signIn(page, demo.url, "operator");
  await page.goto(`${demo.url}${CONNECTION}/setup`);
  await page.getByRole("button", { name: "Plan", exact: true }).click();
  await page.waitForURL((at) => at.pathname === `${CONNECTION}/preview`);
  assert.match(await page.locator("main").textContent(), /<script>window\.hacked=1<\/script>/);
  await page.goto(demo.url);
  await page.getByRole("button", { name: "Sync now" }).click();
  await page.waitForURL(/\/runs\//);
  await page.locator("[data-over]").waitFor();
  for (const address of Object.values(await every(page))) {
    await page.goto(`${demo.url}${address}`);
    await page.evaluate(() => [...document.querySelectorAll("details")].slice(0, 3).forEach((details) => { details.open = true; }));
    assert.equal(await page.evaluate(() => window.hacked), undefined, address);
  }
  assert.deepEqual(trouble.filter((what) => !what.includes("404")), []);
  await context.close();
});

test("a held plan is reviewed and approved with its number and a reason; the run is watched live; then it is undone", async () => {
  const { context, page, trouble } = await open(browser);
  await signIn(page, demo.url, "approver");
  await page.getByRole("link", { name: "Review the plan" }).click();
  assert.match(await heading(page), /^Held: /);
  const plan = page.url();
  await page.getByRole("button", { name: "Approve…" }).click();
  await page.fill("#number", "1");
  await page.fill("#reason", "The team was moved to another site.");
  await page.getByRole("button", { name: "Approve and do it" }).click();
  assert.match(await page.locator("[role=alert]").textContent(), /The number is not/);
  await page.goto(plan);
  const held = /^(\d+)/.exec(await page.locator(".actionbar b").textContent())[1];
  await page.getByRole("button", { name: "Approve…" }).click();
  await page.fill("#number", held);
  await page.fill("#reason", "The team was moved to another site.");
  await page.getByRole("button", { name: "Approve and do it" }).click();
  await page.waitForURL(/\/runs\/[^/]+$|\/runs\/[^/]+\?said=approved$/);
  await page.locator("[data-over]").waitFor();
  assert.match(await heading(page), /steps done/);
  assert.ok(await page.locator("tbody tr").count() > 4, "the journal has every step");
  assert.match(demo.run(["audit", "list", "--json"]), /The team was moved to another site/);

  await page.getByRole("button", { name: "Undo…" }).click();
  await page.getByRole("button", { name: "Undo this run" }).click();
  await page.waitForURL((at) => at.search === "?said=undoing");
  await page.locator("[data-over]").waitFor();
  assert.match(await page.locator("main").textContent(), /takes back what was done by/);
  assert.deepEqual(trouble, []);
  await context.close();
});

test("a person who may not is told so in the same dress, and a lost session as well", async () => {
  const { context, page } = await open(browser);
  await signIn(page, demo.url, "viewer");
  await page.goto(`${demo.url}/account`);
  await context.clearCookies();
  await page.getByRole("button", { name: "Change the password" }).evaluate((button) => button.form.noValidate = true);
  await page.getByRole("button", { name: "Change the password" }).click();
  assert.equal(await heading(page), "Your session is over");
  await page.getByRole("link", { name: "Sign in" }).click();
  assert.equal(await heading(page), "Sign in");
  await context.close();
});

test("new rules show what they would change before they are saved, and a viewer cannot change them", async () => {
  const { context, page, trouble } = await open(browser);
  await signIn(page, demo.url, "administrator");
  await page.goto(`${demo.url}${CONNECTION}/rules/document`);
  const before = await page.locator("#document").inputValue();
  assert.match(before, /client_secret = "sealed"/);
  await page.fill("#document", before.replace("[scope]", "[scope]\nmembers = 1"));
  await page.getByRole("button", { name: "Show what it would change" }).first().click();
  assert.match(await page.locator("main").textContent(), /members/, "a wrong key is named");
  await page.goto(`${demo.url}${CONNECTION}/rules/document`);
  await page.fill("#document", before.replace('"Project Barometer"', '"All Staff"'));
  await page.getByRole("button", { name: "Show what it would change" }).first().click();
  await page.waitForURL((at) => at.pathname.endsWith("/rules/try"));
  assert.match(await heading(page), /^(These rules ask|\d+ steps? would)/);
  assert.match(await page.locator("main").textContent(), /Project Barometer/);
  await page.getByRole("button", { name: "Save as a new version" }).click();
  await page.waitForURL((at) => at.pathname === `${CONNECTION}/rules/versions`);
  await page.goto(`${demo.url}${CONNECTION}/rules/document`);
  assert.match(await page.locator("#document").inputValue(), /"All Staff"/);
  assert.match(await page.locator(".page-head").textContent(), /Version 2\./);
  await context.close();
  const other = await open(browser);
  await signIn(other.page, demo.url, "viewer");
  await other.page.goto(`${demo.url}${CONNECTION}/rules/document`);
  assert.equal(await other.page.locator("#document").count(), 0);
  await other.context.close();
  assert.deepEqual(trouble, []);
});
