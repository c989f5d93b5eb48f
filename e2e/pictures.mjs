// Makes the pictures of docs/console anew: node e2e/pictures.mjs, from the root of the repository.
import { join } from "node:path";
import { open, signIn, startBrowser, startDemo } from "./demo.mjs";

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
  const phone = await open(browser, { viewport: { width: 390, height: 844 }, colorScheme: "dark" });
  await signIn(phone.page, demo.url, "approver");
  await phone.page.goto(demo.url);
  await phone.page.screenshot({ path: join(folder, "phone.png") });
} finally {
  await browser.close();
  await demo.stop();
}
