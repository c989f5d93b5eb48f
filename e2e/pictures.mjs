// Makes the pictures of docs/console anew: node e2e/pictures.mjs, from the root of the repository.
import { join } from "node:path";
import { open, password, signIn, startBrowser, startDemo } from "./demo.mjs";
import { startEmpty } from "./empty.mjs";

const folder = "docs/console";
const demo = await startDemo();
const browser = await startBrowser();
try {
  const { page } = await open(browser);
  const keep = (name) => page.screenshot({ path: join(folder, `${name}.png`) });
  await signIn(page, demo.url, "approver");
  await page.goto(demo.url);
  await keep("overview");
  await page.getByRole("link", { name: "Review the plan" }).click();
  await keep("plan");
  await page.getByRole("button", { name: "Approve…" }).click();
  await keep("approve");
  await page.goto(`${demo.url}/connections/azure-ad/runs`);
  const runs = await page.locator("tbody a").evaluateAll((links) => links.map((link) => link.getAttribute("href")));
  await page.goto(`${demo.url}${runs.at(-3)}`);
  await page.locator("summary.twist").first().click();
  await keep("run");
  const desk = await open(browser);
  await signIn(desk.page, demo.url, "administrator");
  await desk.page.goto(`${demo.url}/settings/accounts`);
  await desk.page.screenshot({ path: join(folder, "settings.png") });
  const phone = await open(browser, { viewport: { width: 390, height: 844 }, colorScheme: "dark" });
  await signIn(phone.page, demo.url, "approver");
  await phone.page.goto(demo.url);
  await phone.page.screenshot({ path: join(folder, "phone.png") });
} finally {
  await browser.close();
  await demo.stop();
}

// The first ten minutes: docs/first-ten-minutes.md, as it is told there.
const house = await startEmpty({ emulate: ["--people", "140", "--groups", "24"] });
const window = await startBrowser();
try {
  const { page } = await open(window, { viewport: { width: 1440, height: 860 } });
  const { company } = house;
  const keep = (name) => page.screenshot({ path: join(folder, `wizard-${name}.png`) });
  const press = (name) => page.locator("main").getByRole("button", { name, exact: true }).last().click();
  const at = (step) => page.waitForURL((at) => at.pathname.endsWith(`/${step}`));
  await page.goto(house.link);
  await page.fill("#name", "Marta Lindqvist");
  await page.fill("#password", password);
  await page.fill("#again", password);
  await press("Make the account and sign in");
  await page.waitForURL((at) => at.pathname === "/setup");
  await keep("begin");
  await press("Begin");
  await at("directory");
  await page.fill("#name", "Azure AD");
  await page.fill("#tenant_id", company.tenant_id);
  await page.fill("#client_id", company.client_id);
  await page.fill("#client_secret", company.client_secret);
  await page.getByText("Another Microsoft cloud, or own addresses").click();
  await page.fill("#authority_url", company.authority_url);
  await page.fill("#graph_url", company.graph_url);
  await house.change({ change: "set_roles", roles: ["User.Read.All"] });
  await press("Test");
  await page.getByRole("heading", { name: "A permission is missing" }).waitFor();
  await keep("permission");
  await house.change({ change: "set_roles", roles: ["User.Read.All", "GroupMember.Read.All"] });
  await press("Test again");
  await page.getByText("all good").waitFor();
  await press("Go on to the site");
  await at("site");
  await page.fill("#url", company.site_url);
  await page.fill("#admin_email", company.admin_email);
  await page.fill("#api_token", company.api_token);
  await press("Test");
  await page.getByRole("heading", { name: "Products and seats" }).waitFor();
  await page.locator("#test-h").scrollIntoViewIfNeeded();
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  await keep("site");
  await press("Go on to people and groups");
  await at("scope");
  await page.fill("#find", "jira");
  await press("Find");
  await page.waitForURL((at) => at.searchParams.get("find") === "jira");
  for (const row of [0, 1, 2]) await page.locator("tbody input[type=checkbox]").nth(row).check();
  await press("Count anew");
  await page.getByRole("heading", { name: "3 groups would take part" }).waitFor();
  await keep("scope");
  await press("Go on to the preview");
  await at("preview");
  await press("Make the first plan");
  await page.getByRole("heading", { name: "Cost" }).waitFor();
  await page.locator(".plan-row summary").first().click();
  await page.locator(".plan-row .chain").first().waitFor();
  await keep("preview");
  await page.getByRole("link", { name: "Go on to the first sync" }).click();
  await house.settings({ latency: { site_ms: 300 } });
  await press("Start the first sync");
  await page.waitForFunction(() => /^[1-9]\d* of/.test(document.querySelector("h1").textContent));
  await keep("sync");
  await house.settings({ latency: { site_ms: 0 } });
  await page.getByRole("link", { name: "Go on to the schedule" }).click();
  await press("Finish");
  await page.waitForURL((at) => at.pathname === "/connections/azure-ad");
} finally {
  await window.close();
  await house.stop();
}
