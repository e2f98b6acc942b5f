// A technician's morning on the page: 96-page.sh starts it beside a real appliance.
//   walk.mjs BASE TOKEN FOLDER     FOLDER: for downloads, and for what the script and the test tell each other
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { cutOff, expect, fail, faults, open, signIn, visit } from "./browser.mjs";

const [base, token, folder] = process.argv.slice(2);
const say = (text) => console.log(`-- ${text} (${Math.round(performance.now() / 1000)} s)`);
const told = (name) => existsSync(path.join(folder, name));
async function until(condition, text, seconds = 90) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; ) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  fail(`not within ${seconds} s: ${text}`);
}

const { browser, page, wrong } = await open(base);
try {
  say("sign in: a wrong token is refused with a sentence");
  await page.goto(base);
  await page.locator(".sign-in form").waitFor();
  if (!(await page.locator("input[name=token]").isVisible())) await page.locator(".switch-way").click();
  await page.locator("input[name=token]").fill(`mt_${"0".repeat(64)}`);
  await page.locator(".sign-in button[type=submit]").click();
  await page.locator(".trouble").waitFor();
  await signIn(page, base, token);

  say("overview: an alert, every machine, its test boots");
  await page.locator(".alert .subject", { hasText: "till-4" }).first().waitFor();
  for (const name of ["accounting", "files", "mail", "till-4", "web", "giant"])
    await page.locator(".machine-name a", { hasText: name }).waitFor();
  await page.locator(".newest-test img").first().waitFor();
  expect((await page.locator(".strip .pass").count()) > 10, "no passes in the strips");

  say("an alert is acknowledged, and stays so");
  const before = await page.locator("ul.alerts > li:not(.acknowledged)").count();
  await page.locator(".alert", { hasText: "kernel panicked" }).getByRole("button", { name: "Acknowledge" }).click();
  await until(async () => (await page.locator("ul.alerts > li:not(.acknowledged)").count()) === before - 1, "the alert moves");

  say("search by keyboard");
  await page.keyboard.press("Control+k");
  await page.locator(".palette input").fill("accounti");
  await page.keyboard.press("Enter");
  await page.locator("main h1", { hasText: "accounting" }).waitFor();
  await page.locator(".timeline svg .column").first().waitFor();

  say("a file of a point, its bytes");
  await page.locator(".chosen-point").getByRole("link", { name: "Files" }).click();
  await page.locator(".volumes a").first().click();
  await page.locator(".files .as-link", { hasText: "readme.txt" }).waitFor();
  const [file] = await Promise.all([
    page.waitForEvent("download"),
    page.locator("tr", { hasText: "readme.txt" }).getByRole("button", { name: "Download" }).click(),
  ]);
  expect(readFileSync(await file.path(), "utf8") === "The quick brown fox\n", "the downloaded file has other bytes");
  await page.locator(".files .as-link", { hasText: "readme.txt" }).click();
  await page.locator("dialog pre", { hasText: "quick brown" }).waitFor();
  await page.keyboard.press("Escape");

  say("what cannot be undone asks for the machine's name");
  await visit(page, "#/machines/default/files");
  await page.locator(".chosen-point").getByRole("button", { name: "Delete" }).click();
  const confirm = page.locator("dialog button[type=submit]");
  expect(await confirm.isDisabled(), "a point can be deleted without its machine's name");
  await page.locator("dialog input").fill("files");
  expect(await confirm.isEnabled(), "the name does not enable the button");
  await page.locator("dialog").getByRole("button", { name: "Cancel" }).click();

  say("disaster: one that fits, one that does not");
  await page.locator(".bar .disaster").click();
  for (const name of ["web", "giant"]) await page.getByRole("checkbox", { name, exact: true }).check();
  await page.locator(".check-row", { hasText: "web" }).locator(".pill.good").waitFor();
  await page.locator(".check-row", { hasText: "giant" }).locator(".pill.bad").waitFor();
  await page.getByRole("button", { name: "Start 1 machine" }).click();
  await page.locator(".screen-card", { hasText: "web" }).locator("a").first().waitFor();
  await until(() => page.locator(".screen-card img").count(), "the VM's screen is shown");
  await page.locator(".screen-text a", { hasText: "web" }).click();

  say("the console shows the guest, and takes what is typed");
  await page.locator(".console.connected canvas").waitFor();
  const bright = () => page.locator(".console canvas").first().evaluate((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let i = 0; i < data.length; i += 4) count += data[i] + data[i + 1] + data[i + 2] > 300 ? 1 : 0;
    return count;
  });
  await until(async () => (await bright()) > 100, "the screen is dark", 120);
  await page.locator("details.card summary").click();
  await until(() => page.locator("pre.log", { hasText: "READY" }).count(), "the guest is up", 180);
  // As on a keyboard: a guest's Shift has to be held for what is shifted.
  const type = async (text) => {
    for (const character of text) {
      const key = character === ">" ? "Period" : /[A-Z]/.test(character) ? `Key${character}` : undefined;
      await page.keyboard.press(key ? `Shift+${key}` : character === "\n" ? "Enter" : character === " " ? "Space" : character, { delay: 30 });
      await page.waitForTimeout(40);
    }
  };
  await page.locator(".console canvas").first().click();
  await type("root\n");
  await until(async () => {
    await type("echo typed here > /dev/ttyS0\n");
    await page.waitForTimeout(3000);
    return page.locator("pre.log", { hasText: "typed here" }).count();
  }, "what was typed arrives in the guest", 90);

  say("the daemon is restarted: the page says so, recovers, misses nothing");
  await visit(page, "#/machines");
  writeFileSync(path.join(folder, "stop"), "");
  await page.locator(".lost").waitFor();
  await until(() => told("started"), "the test restarts the daemon", 120);
  await page.locator(".live.live").waitFor();
  await until(async () => (await page.locator(".lost").count()) === 0, "the bar goes");
  await page.locator("td a", { hasText: "late-comer" }).waitFor();

  say("every page, in every language: nothing cut off, no serious fault");
  await visit(page, "#/tests");
  const test = await page.locator(".screen-card a").first().getAttribute("href");
  await visit(page, "#/machines/default/accounting");
  const point = await page.locator(".chosen-title a").getAttribute("href");
  const pages = ["#/", "#/machines", "#/machines/default/accounting", point, point.replace("points", "files"), "#/disaster", "#/vms", "#/tests", test,
    "#/jobs", "#/alerts", "#/policies", "#/policies/default/default", "#/hosts", "#/storage", "#/reports", "#/access", "#/settings", "#/nowhere"];
  const bad = [];
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme });
    for (const each of pages) {
      await visit(page, each);
      for (const fault of await faults(page)) bad.push(`${scheme} ${each}: ${fault}`);
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  for (const language of ["en", "de", "da", "nl", "it"]) {
    await visit(page, "#/settings");
    await page.locator("main select").first().selectOption(language);
    for (const [width, height] of [[1360, 900], [390, 844]]) {
      await page.setViewportSize({ width, height });
      for (const each of pages) {
        await visit(page, each);
        for (const cut of await cutOff(page)) bad.push(`${language} ${width} px ${each}: ${cut}`);
      }
    }
    await page.setViewportSize({ width: 1360, height: 900 });
  }
  if (bad.length > 0) fail(`${bad.length} faults:\n${[...new Set(bad)].slice(0, 40).join("\n")}`);

  say("phone: the menu opens and closes");
  await page.setViewportSize({ width: 390, height: 844 });
  await visit(page, "#/");
  await page.locator(".menu-button").click();
  await page.locator(".side a").nth(1).click();
  await until(async () => !(await page.locator(".side a").first().isVisible()), "the menu closes", 5);

  say("signed out, nothing is left");
  await page.setViewportSize({ width: 1360, height: 900 });
  await page.locator(".side-foot button").click();
  await page.locator(".sign-in form").waitFor();
  expect(!(await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }))).includes("mt_"), "the token is stored");
  if (wrong.length > 0) fail(wrong.slice(0, 20).join("\n"));
} catch (error) {
  await page.screenshot({ path: path.join(folder, "failed.png") }).catch(() => undefined);
  console.error(error.message);
  console.error(wrong.slice(0, 10).join("\n"));
  process.exitCode = 1;
} finally {
  await browser.close();
}
