// Names with markup in them, and what a page under attack would be used for: 97-page-hostile.sh starts it.
//   hostile.mjs BASE TOKEN POINT
import { expect, fail, open, signIn, visit } from "./browser.mjs";

const [base, token, point] = process.argv.slice(2);
const machine = "<img src=x onerror=alert(1)>";
const { browser, context, page, wrong } = await open(base);
try {
  await signIn(page, base, token);
  const at = encodeURIComponent(machine);
  for (const each of ["#/", "#/machines", `#/machines/default/${at}`, `#/points/default/${point}`, `#/files/default/${point}?path=vda%3A%2F`, "#/alerts", "#/hosts",
    "#/jobs", "#/disaster", "#/storage", "#/policies/default/default", `#/machines/default/${encodeURIComponent("javascript:alert(1)")}`, "#/%3Cscript%3Ealert(1)%3C/script%3E",
    `#/tests?machine=${at}`, "#/files/default/..%2f..%2f?path=%22%3E%3Cimg%20src%3Dx%3E"]) {
    await visit(page, each);
    const made = await page.evaluate(() => [...document.querySelectorAll("img[src=x], script:not([src]), [onerror], [onload], iframe, object, embed")].map((each) => each.outerHTML));
    expect(made.length === 0, `markup became elements at ${each}: ${made}`);
  }
  await visit(page, "#/");
  await page.locator(".machine-name a", { hasText: machine }).waitFor();
  await visit(page, "#/alerts");
  await page.locator(".alert .subject", { hasText: machine }).first().waitFor();
  await visit(page, `#/files/default/${point}?path=vda%3A%2F`);
  await page.locator(".files .as-link", { hasText: "<b>bold" }).waitFor();
  await page.locator(".files .as-link", { hasText: "evil.html" }).click();
  await page.locator("dialog pre", { hasText: "<script>" }).waitFor();
  await page.keyboard.press("Escape");

  // In a callback: what the test itself evaluates is exempt from the policy.
  const attempts = await page.evaluate(() => new Promise((resolve) => setTimeout(() => {
    const tried = {};
    const attempt = (name, run) => {
      try {
        run();
        tried[name] = "done";
      } catch (error) {
        tried[name] = error.name;
      }
    };
    attempt("innerHTML", () => { document.createElement("div").innerHTML = "<b>x</b>"; });
    attempt("document.write", () => document.write("x"));
    attempt("eval", () => window["ev" + "al"]("1"));
    attempt("policy", () => window.trustedTypes.createPolicy("mine", { createHTML: (text) => text }));
    const script = document.createElement("script");
    attempt("script text", () => { script.textContent = "window.ran = true"; document.head.append(script); });
    const link = document.createElement("a");
    attempt("handler in markup", () => link.setAttribute("onclick", "window.ran = true"));
    document.body.append(link);
    link.click();
    const form = document.createElement("form");
    form.action = "https://example.invalid/";
    document.body.append(form);
    form.submit();
    resolve(tried);
  })));
  for (const [name, result] of Object.entries(attempts)) expect(result !== "done", `${name} is possible`);
  await page.waitForTimeout(300);
  expect(!(await page.evaluate(() => window.ran)), "inline script ran");
  const outside = await page.evaluate(() => fetch("https://example.invalid/").then(() => "done", (error) => error.name));
  expect(outside !== "done", "another origin was reached");

  // In a frame of another page it is not shown.
  const thief = await context.newPage();
  await thief.setContent(`<iframe src="${base}" width="800" height="600"></iframe>`);
  await thief.waitForTimeout(1500);
  const framed = thief.frames()[1];
  expect(!framed || !(await framed.evaluate(() => Boolean(document.querySelector("#page"))).catch(() => false)), "the page can be framed");
  const dialogs = wrong.filter((each) => /dialog|exception/.test(each));
  if (dialogs.length > 0) fail(dialogs.join("\n"));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await browser.close();
}
