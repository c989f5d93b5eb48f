// A new connection, step by step, from an empty service to a site in step.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import AxeBuilder from "@axe-core/playwright";
import { open, password, pictures, startBrowser } from "./demo.mjs";
import { startEmpty } from "./empty.mjs";

let house, company, url, browser;

const roles = (...roles) => house.change({ change: "set_roles", roles });
const settings = (changed) => house.settings(changed);

before(async () => {
  const account = { name: "Marta Lindqvist", password };
  house = await startEmpty({ emulate: ["--people", "60", "--groups", "45"], account });
  ({ company, url } = house);
  browser = await startBrowser();
}, { timeout: 120_000 });

after(async () => {
  await browser?.close();
  await house?.stop();
}, { timeout: 60_000 });

const heading = async (page) => (await page.locator("h1").first().textContent()).trim();
const path = (page) => new URL(page.url()).pathname.replace(/\/setup\/[0-9a-f]{32}/, "/setup/ID");
const go = async (page, name, step) => {
  await page.locator("main").getByRole("button", { name, exact: true }).last().click();
  await page.waitForURL((at) => at.pathname.endsWith(`/${step}`));
};

const enter = async (options) => {
  const opened = await open(browser, options);
  await opened.page.goto(`${url}/sign-in`);
  await opened.page.fill("#name", "Marta Lindqvist");
  await opened.page.fill("#password", password);
  await opened.page.click('form[action="/sign-in"] button');
  await opened.page.waitForURL((at) => !at.pathname.startsWith("/sign-in"));
  return opened;
};

// Whether the page is accessible and fits, in both themes and both sizes; a picture of each is kept.
const inspect = async (page, name) => {
  for (const [width, height] of [[1440, 900], [390, 844]]) {
    for (const colorScheme of ["light", "dark"]) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: join(pictures, `wizard-${name}-${width}-${colorScheme}.png`), fullPage: true });
      const { violations } = await new AxeBuilder({ page }).analyze();
      assert.deepEqual(violations.map((one) => `${name} ${width} ${colorScheme} ${one.id}: ${one.nodes[0].html}`), []);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${name} is ${wide} px too wide at ${width}`);
    }
  }
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.emulateMedia({ colorScheme: "light" });
  assert.ok((await page.content()).length < 100_000, name);
};

const sayDirectory = async (page, name, secret = company.client_secret) => {
  await page.fill("#name", name);
  await page.fill("#tenant_id", company.tenant_id);
  await page.fill("#client_id", company.client_id);
  await page.fill("#client_secret", secret);
  if (!(await page.locator("details.fold").getAttribute("open") !== null)) await page.click("details.fold > summary");
  await page.fill("#authority_url", company.authority_url);
  await page.fill("#graph_url", company.graph_url);
};

test("an empty service leads its administrator into the wizard, and the wizard to a site in step", { timeout: 480_000 }, async () => {
  const { context, page, trouble } = await enter();
  assert.equal(path(page), "/setup");
  assert.equal(await heading(page), "Nothing is connected yet");
  await inspect(page, "begin");
  await page.getByRole("button", { name: "Begin", exact: true }).click();
  await page.waitForURL((at) => at.pathname.endsWith("/directory"));

  // What is missing is told beside its field
  await page.fill("#name", "Azure AD");
  await page.getByRole("button", { name: "Test", exact: true }).click();
  await page.locator("#error").waitFor();
  assert.match(await page.locator("#tenant_id-e").textContent(), /Directory \(tenant\) ID is missing/);
  assert.equal(await page.locator("#tenant_id").getAttribute("aria-invalid"), "true");
  assert.match(await page.locator("#error").textContent(), /3 fields to mend/);
  assert.equal(await page.locator("[aria-invalid]").count(), 3);
  assert.equal(await page.inputValue("#name"), "Azure AD");
  await inspect(page, "directory-missing");

  // A wrong secret is told beside the secret
  await sayDirectory(page, "Azure AD", "not-the-secret");
  await page.getByRole("button", { name: "Test", exact: true }).click();
  await page.locator("#client_secret-e").waitFor();
  assert.match(await page.locator("#client_secret-e").textContent(), /secret/i);
  assert.ok(!(await page.content()).includes("not-the-secret"));
  assert.ok(await page.getByRole("button", { name: "Go on to the site" }).isDisabled());
  await inspect(page, "directory-secret");

  // A missing permission is named, with the place in the portal
  await roles("User.Read.All");
  await page.fill("#client_secret", company.client_secret);
  await page.getByRole("button", { name: "Test again", exact: true }).last().click();
  await page.getByRole("heading", { name: "A permission is missing" }).waitFor();
  assert.match(await page.locator("#error").textContent(), /GroupMember\.Read\.All[^]*App registrations › your application › API permissions[^]*Grant admin consent/);
  const portal = await page.getByRole("link", { name: "Open that page" }).getAttribute("href");
  assert.ok(portal.startsWith("https://entra.microsoft.com/") && portal.includes(company.client_id), portal);
  assert.ok(!(await page.content()).includes(company.client_secret));
  await inspect(page, "directory-permission");
  // In another cloud the portal is elsewhere; own addresses go before the cloud's
  await page.selectOption("#cloud", "usgov");
  await page.fill("#scope", "https://graph.microsoft.com/.default");
  await page.getByRole("button", { name: "Test again", exact: true }).last().click();
  await page.locator("a[href^='https://entra.microsoft.us/']").waitFor();
  await page.selectOption("#cloud", "global");
  await page.fill("#scope", "");
  await roles("User.Read.All", "GroupMember.Read.All", "Mail.Read");
  await page.getByRole("button", { name: "Test again", exact: true }).last().click();
  await page.getByText("good, with notes").waitFor();
  assert.match(await page.locator("main").textContent(), /Mail\.Read/);
  await inspect(page, "directory-good");
  await roles("User.Read.All", "GroupMember.Read.All");

  // Away, and back after the server was started anew: nothing is lost
  await page.getByRole("button", { name: "Save and leave" }).click();
  await page.waitForURL((at) => at.pathname === "/setup");
  assert.match(await page.locator("main").textContent(), /Azure AD[^]*Next: Site/);
  await inspect(page, "list");
  await house.restart();
  await page.goto(`${url}/`);
  assert.equal(path(page), "/setup");
  await page.getByRole("link", { name: "Go on with Azure AD" }).click();
  await page.waitForURL((at) => at.pathname.endsWith("/site"));
  await page.locator(".stepper").getByRole("link", { name: "Directory" }).click();
  assert.equal(await page.inputValue("#tenant_id"), company.tenant_id);
  assert.equal(await page.inputValue("#client_secret"), "");
  assert.match(await page.getAttribute("#client_secret", "placeholder"), /Stored and sealed/);
  await go(page, "Go on to the site", "site");

  await page.fill("#url", company.site_url);
  await page.fill("#admin_email", company.admin_email);
  await page.fill("#api_token", "not-the-token");
  await page.getByRole("button", { name: "Test", exact: true }).click();
  await page.locator("#api_token-e").waitFor();
  await inspect(page, "site-token");
  await page.fill("#api_token", company.api_token);
  await page.click("details.fold > summary");
  await page.fill("#organization_id", company.organization_id);
  await page.fill("#organization_directory_id", company.directory_id);
  await page.fill("#organization_key", company.api_key);
  await page.fill("#organization_url", company.organization_url);
  await page.getByRole("button", { name: "Test again", exact: true }).click();
  await page.getByRole("heading", { name: "Products and seats" }).waitFor();
  assert.match(await page.locator("main").textContent(), /Administer Jira[^]*Site administration/);
  await inspect(page, "site-good");
  // A slow directory is read behind the page, which looks again by itself
  await settings({ latency: { graph_ms: 2500 } });
  await page.locator("main").getByRole("button", { name: "Go on to people and groups" }).click();
  await page.getByRole("heading", { name: "Reading the directory" }).waitFor();
  // Whoever types is not interrupted
  await page.focus("#patterns");
  await inspect(page, "scope-reading");
  await settings({ latency: { graph_ms: 0 } });
  await page.locator("#patterns").blur();
  await page.getByRole("heading", { name: "Groups of the directory" }).waitFor({ timeout: 60_000 });

  // Groups come from the directory, with their counts; they are found, picked, paged and taken out again
  assert.equal(await heading(page), "Nobody takes part yet");
  assert.match(await page.locator("#groups-h + p").textContent(), /45 groups|4\d groups/);
  const first = page.locator("tbody tr").first();
  const name = (await first.locator("label").evaluate((label) => label.firstChild.textContent)).trim();
  const members = Number((await first.locator("td.num").textContent()).replace(",", ""));
  await first.locator("input[type=checkbox]").check();
  await page.getByRole("button", { name: "Show more" }).click();
  await page.waitForURL((at) => at.searchParams.get("from") === "20");
  assert.equal(await heading(page), `${members} ${members === 1 ? "person" : "people"} in 1 group would take part`);
  const single = page.locator("tbody tr", { hasNot: page.locator("small") }).first().locator("label");
  const second = (await single.textContent()).trim();
  assert.notEqual(second, name);
  await page.fill("#find", second.toLowerCase());
  await page.getByRole("button", { name: "Find", exact: true }).last().click();
  await page.waitForURL((at) => at.searchParams.get("find") === second.toLowerCase());
  await page.locator("tbody input[type=checkbox]").first().check();
  await page.getByRole("button", { name: "Count anew" }).click();
  await page.getByRole("button", { name: `Take out ${second}` }).waitFor();
  assert.match(await heading(page), /in 2 groups would take part/);
  await page.getByRole("button", { name: `Take out ${second}` }).click();
  await page.getByRole("button", { name: `Take out ${second}` }).waitFor({ state: "detached" });
  assert.match(await heading(page), /in 1 group would take part/);
  await inspect(page, "scope");
  await go(page, "Go on to the preview", "preview");

  await page.getByRole("button", { name: "Make the first plan" }).click();
  await page.getByRole("heading", { name: "Cost" }).waitFor();
  assert.match(await heading(page), /^The first sync would take \d+ steps?$/);
  assert.match(await page.locator("aside").textContent(), /Invitation mails/);
  await inspect(page, "preview");
  assert.match(JSON.stringify(house.connections()), /^\[\]$/, "nothing is stored yet");
  await page.getByRole("link", { name: "Go on to the first sync" }).click();
  await inspect(page, "sync-start");
  // A slow site: the page follows the run by itself
  await settings({ latency: { site_ms: 2000 } });
  await page.getByRole("button", { name: "Start the first sync" }).click();
  await page.locator("[data-live] progress").waitFor();
  await inspect(page, "sync-live");
  await settings({ latency: { site_ms: 100 } });
  const before = await heading(page);
  assert.match(before, /of \d+ steps? done$/);
  await page.waitForFunction((before) => document.querySelector("h1").textContent !== before, before);
  // Leaving changes nothing
  await page.getByRole("link", { name: "Leave, and come back later" }).click();
  await page.getByRole("link", { name: "Go on with Azure AD" }).waitFor();
  await page.goBack();
  await settings({ latency: { site_ms: 0 } });
  await page.getByRole("link", { name: "Go on to the schedule" }).waitFor({ timeout: 60_000 });
  assert.match(await heading(page), /^In step: \d+ steps? done and read back$|done; the rest is held/);
  await inspect(page, "sync-done");

  await page.getByRole("link", { name: "Go on to the schedule" }).click();
  await inspect(page, "schedule");
  await page.selectOption("#every", "1h");
  await page.check("#mode-apply");
  await page.getByRole("button", { name: "Finish" }).last().click();
  await page.waitForURL((at) => at.pathname === "/connections/azure-ad");
  const [stored] = house.connections();
  assert.equal(stored.mode, "apply");
  const document = house.run(["connection", "export", "Azure AD"]);
  assert.match(document, /every = "1h"/);
  assert.match(document, /client_secret = "sealed"[^]*api_token = "sealed"[^]*api_key = "sealed"/);
  assert.ok(document.includes(`# ${name}`), document);
  await page.goto(`${url}/setup`);
  assert.equal(await page.getByText("Begun, not finished").count(), 0, "the draft has done its work");
  assert.deepEqual(trouble, []);
  await context.close();
});

test("without script: a second connection, everybody of the directory, and a draft thrown away", { timeout: 480_000 }, async () => {
  const { context, page, trouble } = await enter({ javaScriptEnabled: false });
  await page.goto(`${url}/connections`);
  await page.getByRole("link", { name: "New connection" }).click();
  assert.equal(await heading(page), "New connection");
  await page.getByRole("button", { name: "Begin", exact: true }).click();
  // The name of another connection is not taken
  await sayDirectory(page, "azure ad");
  await page.getByRole("button", { name: "Go on to the site" }).click();
  assert.match(await page.locator("#name-e").textContent(), /name of another connection/);
  await page.fill("#name", "Second");
  await go(page, "Go on to the site", "site");
  await page.fill("#url", company.site_url);
  await page.fill("#admin_email", company.admin_email);
  await page.fill("#api_token", company.api_token);
  await go(page, "Go on to people and groups", "scope");
  // Nobody chosen is told
  await page.getByRole("button", { name: "Go on to the preview" }).click();
  assert.match(await page.locator("#error").textContent(), /names no group/);
  await page.check("input[name=users][value=all]", { force: true });
  await page.getByRole("button", { name: "Count anew" }).click();
  assert.match(await heading(page), /^\d+ people in 0 groups would take part$/);
  await page.fill("#patterns", "*");
  await go(page, "Go on to the preview", "preview");
  await page.getByRole("button", { name: "Make the first plan" }).click();
  assert.match(await heading(page), /steps?$/);
  await page.locator(".plan-row summary").first().click();
  await page.getByRole("link", { name: "Show why" }).first().click();
  assert.match(await heading(page), /^Why .* is in this plan$/);
  await page.getByRole("link", { name: "Back to the plan" }).click();
  await page.getByRole("link", { name: "Go on to the first sync" }).click();
  await page.getByRole("button", { name: "Start the first sync" }).click();
  for (let tries = 0; tries < 60 && await page.getByRole("link", { name: "Go on to the schedule" }).count() === 0; tries++) {
    await new Promise((later) => setTimeout(later, 500));
    await page.goto(page.url());
  }
  await page.getByRole("link", { name: "Go on to the schedule" }).click();
  await page.getByRole("button", { name: "Finish" }).last().click();
  await page.waitForURL((at) => at.pathname === "/connections/second");
  assert.deepEqual(house.connections().map((one) => [one.name, one.mode]), [["Azure AD", "apply"], ["Second", "preview"]]);

  await page.goto(`${url}/setup`);
  await page.getByRole("button", { name: "Begin", exact: true }).click();
  await page.fill("#name", "Never to be");
  await page.getByRole("button", { name: "Save and leave" }).click();
  await page.getByRole("button", { name: "Throw away Never to be" }).click();
  assert.equal(await page.getByText("Never to be").count(), 0);
  assert.deepEqual(trouble, []);
  await context.close();
});
