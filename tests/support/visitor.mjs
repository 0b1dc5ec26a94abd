// A visitor in Chromium with a keyboard alone, and what every page must hold: axe-core finds nothing, nothing is too wide or too small to be
// hit, at 320 pixels too, and nothing comes from elsewhere.
import { createRequire } from "node:module";
import { readFileSync, mkdirSync } from "node:fs";

/** From the arguments of a script: modules, Chromium, and then its own. */
export function argumentsOf(script) {
  const [modules, executablePath, ...own] = script.argv.slice(2);
  return { modules, executablePath, own };
}

export class Journeys {
  /**
   * `tabs` and `patience` (milliseconds): how far a thing may be, and how long it may take; `hit`: what must be large enough; `pictures`: a
   * folder for them, or nothing.
   */
  constructor({ modules, executablePath, base, pictures, tabs, patience, hit }) {
    const require = createRequire(`${modules}/`);
    Object.assign(this, { executablePath, base, pictures, tabs, patience, hit });
    this.chromium = require("playwright-core").chromium;
    this.axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
    this.problems = [];
    this.done = { pages: 0, tabs: 0, largest: 0, journeys: 0 };
  }

  check(holds, says) {
    if (!holds) this.problems.push(says);
  }

  /** One visit of so many journeys, in a browser of its own. */
  async visit(width, colorScheme, journeys, visit) {
    const context = await this.browser.newContext({ viewport: { width, height: 800 }, colorScheme, reducedMotion: "reduce", acceptDownloads: true });
    const page = await context.newPage();
    page.on("request", (request) => this.check(request.url().startsWith(`${this.base}/`), `a request to ${request.url()}`));
    // That a form was answered with what is to be mended is told there too.
    page.on("console", (message) => this.check(message.type() !== "error" || / 422 /.test(message.text()), `the browser says: ${message.text()}`));
    await visit(page);
    const cookies = await context.cookies();
    this.check(cookies.length <= 1 && cookies.every((cookie) => cookie.httpOnly && cookie.sameSite === "Strict"), `cookies: ${JSON.stringify(cookies)}`);
    this.done.journeys += journeys;
    await context.close();
  }

  /** Does all of it; ends with 0 and a line of JSON, or says what is wrong. */
  async end(all) {
    this.browser = await this.chromium.launch({ executablePath: this.executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"] });
    try {
      await all();
    } catch (error) {
      this.problems.push(String(error.stack ?? error));
    } finally {
      await this.browser.close();
    }
    if (this.problems.length > 0) {
      console.error([...new Set(this.problems)].join("\n"));
      process.exit(1);
    }
    console.log(JSON.stringify(this.done));
  }
}

export class Visitor {
  constructor(journeys, page, name) {
    Object.assign(this, { journeys, page, name, shot: 0 });
  }

  /** Presses Tab until the element is reached that `selector` means; with a keyboard there is no other way. */
  async reach(selector) {
    const wanted = this.page.locator(selector).first();
    await wanted.waitFor({ state: "attached", timeout: this.journeys.patience });
    for (let step = 0; step < this.journeys.tabs; step += 1) {
      if (await wanted.evaluate((element) => element === document.activeElement)) {
        const ring = await wanted.evaluate((element) => {
          const style = getComputedStyle(element);
          return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
        });
        this.journeys.check(ring, `${this.name}: nobody sees that ${selector} has the focus`);
        return;
      }
      await this.page.keyboard.press("Tab");
      this.journeys.done.tabs += 1;
    }
    throw new Error(`${this.name}: ${selector} cannot be reached by keyboard on ${this.page.url()}`);
  }

  async follow(selector) {
    await this.reach(selector);
    await Promise.all([this.page.waitForNavigation({ timeout: 6 * this.journeys.patience }), this.page.keyboard.press("Enter")]);
    await this.look();
  }

  async type(selector, text) {
    await this.reach(selector);
    await this.page.keyboard.press("Control+A");
    await this.page.keyboard.type(text);
  }

  async has(selector, says) {
    this.journeys.check((await this.page.locator(selector).count()) > 0, `${this.name}: ${says} on ${this.page.url()}`);
  }

  /** What the pages of one site must hold besides, of `bytes`. */
  async more(_where, _bytes) {}

  /** Whatever a page must hold, wherever it is. */
  async look() {
    const { page, journeys } = this;
    const where = `${this.name} ${new URL(page.url()).pathname.replace(/[0-9a-f]{32}/, "…")}`;
    const bytes = Buffer.byteLength(await page.content());
    // What is folded away is looked at too.
    await page.evaluate(() => document.querySelectorAll("details").forEach((one) => { one.dataset.was = one.open; one.open = true; }));
    const found = await page.evaluate(`${journeys.axe}; axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })`);
    for (const one of found.violations) {
      journeys.problems.push(`${where}: ${one.id}: ${one.help}: ${one.nodes.map((node) => node.html).slice(0, 2).join(" ")}`);
    }
    journeys.done.largest = Math.max(journeys.done.largest, bytes);
    await this.more(where, bytes);
    const before = page.viewportSize();
    for (const width of [before.width, 320]) {
      await page.setViewportSize({ width, height: before.height });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      journeys.check(wide <= 0, `${where}: ${wide} pixels too wide at ${width}`);
      const small = await page.evaluate((hit) =>
        [...document.querySelectorAll(hit)]
          .filter((element) => element.type !== "hidden" && element.getClientRects().length > 0)
          .map((element) => [element.outerHTML.slice(0, 60), Math.min(...["width", "height"].map((side) => element.getBoundingClientRect()[side]))])
          .filter(([, side]) => side < 22),
        journeys.hit,
      );
      journeys.check(small.length === 0, `${where}: too small to be hit: ${JSON.stringify(small)}`);
    }
    await page.setViewportSize(before);
    if (journeys.pictures) {
      this.shot += 1;
      mkdirSync(journeys.pictures, { recursive: true });
      const file = `${journeys.pictures}/${this.name}-${String(this.shot).padStart(2, "0")}.png`;
      await page.screenshot({ path: file, fullPage: true });
    }
    await page.evaluate(() => document.querySelectorAll("details").forEach((one) => { one.open = one.dataset.was === "true"; }));
    journeys.done.pages += 1;
  }
}
