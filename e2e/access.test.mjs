// The access page in the company's dress: its name, its colour, and still accessible.
import assert from "node:assert/strict";
import { writeFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { browser, demo, inspect, open, stage } from "./demo.mjs";

const ACCENT = "#0b6e4f";
let folder;

stage();
before(() => { folder = mkdtempSync(join(tmpdir(), "entrain-access-")); });
after(() => rmSync(folder, { recursive: true, force: true }));

const set = (change) => {
  const file = join(folder, "connection.toml");
  writeFileSync(file, change(demo.run(["connection", "export", "Azure AD"])));
  return demo.run(["connection", "set", file]);
};

test("name and colour are the company's, and a colour that cannot be read is refused", { timeout: 120_000 }, async () => {
  set((document) => document.replace(/(\[doors\.access\][^\n]*\n)name = .*\n/, `$1name = "Norrvik & Söhne"\naccent = "${ACCENT}"\n`));
  assert.throws(() => set((document) => document.replace(ACCENT, "#ffd400")), /too light/);
  const { context, page, trouble } = await open(browser);
  // The service looks for new documents every few seconds
  const dressed = async () => {
    await page.goto(`${demo.url}/access/azure-ad`);
    return /Norrvik & Söhne/.test(await page.locator(".house").textContent());
  };
  for (let tries = 0; tries < 60 && !(await dressed()); tries++) await new Promise((later) => setTimeout(later, 1000));
  await inspect(page, "access-door");
  await page.getByRole("link", { name: "Sign in with Microsoft" }).click();
  // The company's sign-in: whoever comes first
  await page.locator("li button").first().click();
  await page.waitForURL((at) => at.origin === new URL(demo.url).origin);
  await page.locator(".house").waitFor();
  assert.match(await page.locator(".house").textContent(), /Norrvik & Söhne/);
  const colour = await page.locator(".house .face").evaluate((face) => getComputedStyle(face).backgroundColor);
  assert.equal(colour, "rgb(11, 110, 79)");
  await inspect(page, "access-signed-in");
  // A sister: a visit that was not begun here
  await page.goto(`${demo.url}/access/azure-ad/callback?code=x&state=y`);
  assert.match(await page.locator(".house").textContent(), /Norrvik & Söhne/);
  await inspect(page, "access-refused");
  assert.deepEqual(trouble, []);
  await context.close();
});

test("the company's people sign in to the demo's console with Microsoft, and their groups give the role", { timeout: 120_000 }, async () => {
  for (const [person, role] of [["Marta Oliveira", "Viewer"], ["Ana Duarte", "Approver"]]) {
    const { context, page, trouble } = await open(browser);
    await page.goto(`${demo.url}/sign-in`);
    await page.getByText("Sign in with Microsoft").click();
    await page.getByRole("button", { name: new RegExp(person) }).first().click();
    await page.waitForURL((at) => at.origin === new URL(demo.url).origin && !at.pathname.startsWith("/sign-in"));
    await page.goto(`${demo.url}/account`);
    assert.equal(await page.locator("h1").textContent(), `${person.toLowerCase().replace(" ", ".")}@windrose.example`);
    assert.match(await page.locator(".page-head .sub").textContent(), new RegExp(`^${role} of this console`));
    assert.deepEqual(trouble, []);
    await context.close();
  }
});
