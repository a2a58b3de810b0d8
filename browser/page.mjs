// A browser that remembers everything that should not have happened, and looks at pages as axe does.

import { readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const WIDTHS = { phone: { width: 390, height: 844 }, desk: { width: 1280, height: 860 } };
/** Most that a page may weigh with everything it loads, in bytes. */
const HEAVIEST = 100_000;
/** When something is to be seen at the latest, in ms, at the best of a few times: other tests run beside this. */
const SLOWEST = 300;

export class Browser {
  static async start(base, pictures) {
    const executablePath = process.env.FLOWCORE_CHROMIUM ?? "/usr/bin/chromium";
    const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
    if (pictures) await mkdir(pictures, { recursive: true });
    return new Browser(browser, base, pictures);
  }

  constructor(browser, base, pictures) {
    Object.assign(this, { browser, base, pictures, complaints: [], slowest: 0, heaviest: 0 });
  }

  /** A window of its own, with a language, and what it may complain of. */
  async window(options = {}, forgiven = /(?!)/) {
    const context = await this.browser.newContext({ baseURL: this.base, viewport: WIDTHS.desk, locale: "en-GB", ...options });
    context.setDefaultTimeout(15_000);
    await context.addInitScript(() => {
      window.shifts = 0;
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts += entry.value;
      }).observe({ type: "layout-shift", buffered: true });
    });
    const page = await context.newPage();
    this.watch(page, forgiven);
    return page;
  }

  /** Notes what a page complains of, but for what is forgiven. */
  watch(page, forgiven = /(?!)/) {
    const complain = (what) => this.complaints.push(`${page.url()}: ${what}`);
    page.on("console", (message) => {
      // The browser itself reports an answer that refuses a form, which the page shows, and a stream that a
      // flow shuts off; and that a flow typed before the page came to put the cursor there.
      const known = /status of (401|422|503)|Autofocus processing was blocked/;
      if (!known.test(message.text()) && !forgiven.test(message.text())) complain(`console: ${message.text()}`);
    });
    page.on("pageerror", (error) => complain(`error: ${error.message}`));
    page.on("request", (request) => {
      const url = request.url();
      if (!url.startsWith(this.base) && !url.startsWith("data:")) complain(`asked another host: ${url}`);
    });
  }

  /** What axe finds serious, what the page weighs and whether it moved; and its pictures. */
  async inspect(page, name) {
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    for (const one of violations.filter(({ impact }) => impact === "serious" || impact === "critical")) {
      const where = one.nodes.map((node) => node.target.join(" ")).join(", ");
      this.complaints.push(`${name}: axe ${one.id}: ${one.help} (${where})`);
    }
    const { weight, shifts, painted } = await page.evaluate(() => {
      const loaded = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
      const weight = loaded.reduce((all, one) => all + one.encodedBodySize, 0);
      const painted = performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0;
      return { weight, shifts: window.shifts, painted };
    });
    this.slowest = Math.max(this.slowest, painted);
    this.heaviest = Math.max(this.heaviest, weight);
    if (weight > HEAVIEST) this.complaints.push(`${name}: weighs ${weight} bytes`);
    if (shifts > 0.01) this.complaints.push(`${name}: moved by ${shifts.toFixed(3)}`);
    if (!this.pictures) return;
    for (const colorScheme of ["light", "dark"]) {
      for (const [width, size] of Object.entries(WIDTHS)) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize(size);
        await page.screenshot({ path: `${this.pictures}/${name}-${colorScheme}-${width}.png`, animations: "disabled" });
      }
    }
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize(WIDTHS.desk);
  }

  /** How soon a page shows something. */
  async time(page, path) {
    let best = Infinity;
    for (let round = 0; round < 6 && best > SLOWEST / 2; round += 1) {
      await page.goto(path);
      const painted = () => performance.getEntriesByName("first-contentful-paint")[0]?.startTime;
      await page.waitForFunction(painted);
      best = Math.min(best, await page.evaluate(painted));
    }
    if (best > SLOWEST) this.complaints.push(`${path}: shows something after ${Math.round(best)} ms`);
    return Math.round(best);
  }

  async close() {
    await this.browser.close();
  }
}
