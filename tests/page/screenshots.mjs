// screenshots.mjs BASE TOKEN FOLDER LANGUAGE POINT
import path from "node:path";
import { open, signIn, visit } from "./browser.mjs";

const [base, token, folder, language, point] = process.argv.slice(2);
const pages = { overview: "#/", machines: "#/machines", machine: "#/machines/default/accounting", point: `#/points/default/${point}`,
  files: `#/files/default/${point}?path=vda%3A%2F`, disaster: "#/disaster", vms: "#/vms", tests: "#/tests", test: "#/tests/default/24", jobs: "#/jobs",
  alerts: "#/alerts", policies: "#/policies", policy: "#/policies/default/default", hosts: "#/hosts", storage: "#/storage", reports: "#/reports",
  access: "#/access", settings: "#/settings" };
for (const [device, viewport] of [["desktop", { width: 1360, height: 900 }], ["phone", { width: 390, height: 844 }]]) {
  for (const colorScheme of ["light", "dark"]) {
    const { browser, page } = await open(base, { viewport, colorScheme, locale: language });
    await page.goto(base);
    await page.locator(".sign-in form").waitFor();
    await page.screenshot({ path: path.join(folder, `sign-in-${device}-${colorScheme}.png`) });
    await signIn(page, base, token);
    for (const [name, address] of Object.entries(pages)) {
      await visit(page, address);
      await page.waitForTimeout(700);
      await page.screenshot({ path: path.join(folder, `${name}-${device}-${colorScheme}.png`), fullPage: true });
    }
    await browser.close();
  }
}
