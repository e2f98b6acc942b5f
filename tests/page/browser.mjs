// A browser for tests of the page: Debian's Chromium, driven by playwright-core. Collects what must never
// happen: errors on the console, exceptions, requests to another origin.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const require = createRequire(import.meta.url);
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

// What a browser itself logs for an answer that the page handles: nobody is signed in yet, an appliance
// without sessions, a machine without a point, an appliance that is away.
const kExpected = /Failed to load resource: (the server responded with a status of 40[14]|net::ERR_)/;

export function fail(text) {
  throw new Error(text);
}

export function expect(condition, text) {
  if (!condition) fail(text);
}

export async function open(base, options = {}) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
  const context = await browser.newContext({ viewport: { width: 1360, height: 900 }, ignoreHTTPSErrors: true, timezoneId: "Europe/Rome", locale: "en-GB", acceptDownloads: true, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const wrong = [];
  page.on("console", (message) => {
    if (message.type() === "error" && !kExpected.test(message.text())) wrong.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => wrong.push(`exception: ${error.stack}`));
  page.on("dialog", (dialog) => {
    wrong.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (/^(https?|wss?):$/.test(url.protocol) && url.host !== new URL(base).host) wrong.push(`request to ${request.url()}`);
  });
  return { browser, context, page, wrong };
}

export async function signIn(page, base, token) {
  await page.goto(base);
  await page.locator(".sign-in form").waitFor();
  if (!(await page.locator("input[name=token]").isVisible())) await page.locator(".switch-way").click();
  await page.locator("input[name=token]").fill(token);
  await page.locator(".sign-in button[type=submit]").click();
  await page.locator(".shell h1").waitFor();
}

export async function visit(page, address) {
  await page.evaluate((to) => { location.hash = to; }, address);
  await page.waitForTimeout(150);
  await page.locator("main h1").first().waitFor();
  await page.waitForFunction(() => !document.querySelector("main .waiting"), null, { timeout: 60_000 });
}

// Serious and critical faults that axe-core finds on the page as it is.
export async function faults(page) {
  await page.evaluate(axe);
  const result = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return result.violations.filter((each) => ["serious", "critical"].includes(each.impact))
    .map((each) => `${each.id}: ${each.help} (${each.nodes.slice(0, 3).map((node) => node.target.join(" ")).join("; ")})`);
}

// What is wider than its place: the page itself, or words that are cut off.
export function cutOff(page) {
  return page.evaluate(() => {
    const found = [];
    const root = document.documentElement;
    if (root.scrollWidth > root.clientWidth) found.push(`the page is ${root.scrollWidth - root.clientWidth} px too wide`);
    for (const element of document.querySelectorAll("button, .button, .pill, .chip, h1, h2, h3, nav a, .label, .nav-title, .note, dt, dd")) {
      if (element.closest(".scroll, .film-strip, dialog:not([open])") || element.offsetParent === null) continue;
      if (element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).display !== "inline")
        found.push(`${element.tagName} “${element.textContent.slice(0, 60)}”`);
    }
    return found;
  });
}
