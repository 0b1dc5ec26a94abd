// A reviewer's half hour on the console in Chromium, by keyboard alone: at two widths, light and dark. Every page is checked by axe-core, at
// 320 pixels too, and for requests to anywhere else. Ends with 0 and a line of JSON, or says what is wrong.
//
//   node console.mjs BASE MODULES CHROMIUM REVIEWER:PASSWORD OFFICER:PASSWORD [FOLDER FOR PICTURES]
import { createRequire } from "node:module";
import { readFileSync, mkdirSync } from "node:fs";

const [base, modules, executablePath, reviewer, officer, pictures] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const problems = [];
const done = { pages: 0, tabs: 0, largest: 0, journeys: 0 };

function check(holds, says) {
  if (!holds) problems.push(says);
}

class Visitor {
  constructor(page, name) {
    Object.assign(this, { page, name, shot: 0 });
  }

  /** Presses Tab until the element is reached that `selector` means; with a keyboard there is no other way. */
  async reach(selector) {
    const wanted = this.page.locator(selector).first();
    await wanted.waitFor({ state: "attached", timeout: 10000 });
    for (let step = 0; step < 250; step += 1) {
      if (await wanted.evaluate((element) => element === document.activeElement)) {
        const ring = await wanted.evaluate((element) => {
          const style = getComputedStyle(element);
          return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
        });
        check(ring, `${this.name}: nobody sees that ${selector} has the focus`);
        return;
      }
      await this.page.keyboard.press("Tab");
      done.tabs += 1;
    }
    throw new Error(`${this.name}: ${selector} cannot be reached by keyboard on ${this.page.url()}`);
  }

  async follow(selector) {
    await this.reach(selector);
    await Promise.all([this.page.waitForNavigation({ timeout: 60000 }), this.page.keyboard.press("Enter")]);
    await this.look();
  }

  async type(selector, text) {
    await this.reach(selector);
    await this.page.keyboard.press("Control+A");
    await this.page.keyboard.type(text);
  }

  async place(name) {
    await this.follow(`.pages a:has-text("${name}")`);
  }

  /** Whatever a page must hold, wherever it is. */
  async look() {
    const { page } = this;
    const where = `${this.name} ${new URL(page.url()).pathname}`;
    // What is folded away is looked at too.
    await page.evaluate(() => document.querySelectorAll("details").forEach((one) => { one.dataset.was = one.open; one.open = true; }));
    const found = await page.evaluate(`${axe}; axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })`);
    for (const one of found.violations) {
      problems.push(`${where}: ${one.id}: ${one.help}: ${one.nodes.map((node) => node.html).slice(0, 2).join(" ")}`);
    }
    done.largest = Math.max(done.largest, Buffer.byteLength(await page.content()));
    const before = page.viewportSize();
    for (const width of [before.width, 320]) {
      await page.setViewportSize({ width, height: before.height });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      check(wide <= 0, `${where}: ${wide} pixels too wide at ${width}`);
      const small = await page.evaluate(() =>
        [...document.querySelectorAll("button, .button, input, select, .pages a")]
          .filter((element) => element.type !== "hidden" && element.getClientRects().length > 0)
          .map((element) => [element.outerHTML.slice(0, 60), Math.min(...["width", "height"].map((side) => element.getBoundingClientRect()[side]))])
          .filter(([, side]) => side < 22),
      );
      check(small.length === 0, `${where}: too small to be hit: ${JSON.stringify(small)}`);
    }
    await page.setViewportSize(before);
    if (pictures) {
      this.shot += 1;
      mkdirSync(pictures, { recursive: true });
      await page.screenshot({ path: `${pictures}/${this.name}-${String(this.shot).padStart(2, "0")}.png`, fullPage: true });
    }
    await page.evaluate(() => document.querySelectorAll("details").forEach((one) => { one.open = one.dataset.was === "true"; }));
    done.pages += 1;
  }

  async has(selector, says) {
    check((await this.page.locator(selector).count()) > 0, `${this.name}: ${says} on ${this.page.url()}`);
  }

  async enter(who) {
    const [name, password] = who.split(":");
    await this.page.goto(`${base}/`);
    check(new URL(this.page.url()).pathname === "/enter", `${this.name}: in without a log-in`);
    await this.look();
    await this.type("#name", name);
    await this.type("#password", "not this");
    await this.follow('main button:has-text("Log in")');
    await this.has("[role=alert]", "a wrong password is not told");
    await this.type("#name", name);
    await this.type("#password", password);
    await this.follow('main button:has-text("Log in")');
    await this.has('.leave:has-text("' + name + '")', "not in");
  }
}

/** The inbox: the heaviest matter is looked into, and judged. */
async function judge(visitor, verdict) {
  const { page } = visitor;
  await visitor.reach(".skip");
  await page.keyboard.press("Enter");
  check(await page.evaluate(() => document.activeElement.id === "content"), `${visitor.name}: the first link does not skip to the content`);
  await visitor.has(".matter:has-text('whom others look after')", "no finding waits");
  await visitor.follow('.matter a:has-text("What they did that day")');
  await visitor.has("tbody tr", "what they did is not shown");
  await visitor.place("Inbox");
  const who = await page.locator(".matter h2").first().innerText();
  if (verdict !== "Expected") {
    await visitor.follow(`.matter button:has-text("${verdict}")`);
    await visitor.has("[role=alert]", "a judgement without a reason is taken");
  }
  await visitor.type(".matter textarea", `${visitor.name}: called the team <b>lead</b>.`);
  await visitor.follow(`.matter button:has-text("${verdict}")`);
  await visitor.has("[role=status]", "it is not said that it was taken");
  const first = await page.locator(".matter h2").first().innerText().catch(() => "");
  check(first !== who, `${visitor.name}: what was judged still waits: ${who}`);
  await visitor.has('.judged li:has-text("<b>lead</b>")', "somebody's own words are not shown as they are");
}

async function look(visitor) {
  await visitor.place("Find");
  await visitor.type("#whom", "36");
  await visitor.follow('button:has-text("Who saw them")');
  await visitor.has('tbody tr:has-text("as u7")', "who saw the person is not found");
  await visitor.place("Find");
  await visitor.type("#wholog", "support_agent");
  await visitor.follow('button:has-text("What they saw")');
  await visitor.follow('a:has-text("Older")');
  await visitor.has("tbody tr", "there is no second page");
  await visitor.place("Who has what");
  await visitor.has(".chips .unused", "what is not used is not told apart");
  await visitor.place("Policies");
  await visitor.has("main section.card", "no policy is told");
  await visitor.place("Pictures");
  await visitor.has("svg[role=img]", "there is no picture");
  await visitor.place("Proxy");
  await visitor.has('td:has-text("database")', "the proxy's parts are not told");
}

async function certify(visitor) {
  await visitor.place("Campaigns");
  await visitor.type("#comment", "fourth quarter");
  await visitor.follow('button:has-text("Begin")');
  for (let line = 0; line < 60; line += 1) {
    const open = visitor.page.locator("section.card:not(:has(.badge)) form");
    if ((await open.count()) === 0) break;
    const name = line === 0 ? "Revoke" : "Certify";
    await visitor.page.locator("#content").focus();
    await visitor.type('section.card:not(:has(.badge)) input[name="comment"]', line === 0 ? "nobody needs it" : "still needed");
    await visitor.reach(`section.card:not(:has(.badge)) button:has-text("${name}")`);
    await Promise.all([visitor.page.waitForNavigation(), visitor.page.keyboard.press("Enter")]);
  }
  await visitor.look();
  await visitor.type("#closing", "done");
  await visitor.follow('button:has-text("Close the campaign")');
  await visitor.has('.lead:has-text("Closed")', "the campaign is not closed");
  await visitor.place("For an auditor");
  await visitor.reach('button:has-text("Sign and download")');
  const [file] = await Promise.all([visitor.page.waitForEvent("download"), visitor.page.keyboard.press("Enter")]);
  check(/^access-review-.*\.zip$/.test(file.suggestedFilename()), `${visitor.name}: ${file.suggestedFilename()}`);
}

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"] });
async function halfHour([width, colorScheme, who, verdict]) {
  const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme, reducedMotion: "reduce", acceptDownloads: true });
  const page = await context.newPage();
  page.on("request", (request) => check(request.url().startsWith(`${base}/`), `a request to ${request.url()}`));
  page.on("console", (message) => check(message.type() !== "error" || / 422 /.test(message.text()), `the browser says: ${message.text()}`));
  const visitor = new Visitor(page, `${width}-${colorScheme}`);
  await visitor.enter(who);
  await judge(visitor, verdict);
  await look(visitor);
  if (who === officer && width === 360) await certify(visitor);
  await visitor.follow('button:has-text("Log out")');
  await page.goto(`${base}/matrix`);
  check(new URL(page.url()).pathname === "/enter", `${visitor.name}: still in`);
  const cookies = await context.cookies();
  check(cookies.length <= 1 && cookies.every((cookie) => cookie.httpOnly && cookie.sameSite === "Strict"), `cookies: ${JSON.stringify(cookies)}`);
  done.journeys += 1;
  await context.close();
}

const kinds = [[360, "light", officer, "Incident"], [360, "dark", reviewer, "Ask"], [1280, "light", reviewer, "Expected"], [1280, "dark", officer, "Ask"]];
try {
  // One after the other: each judges the heaviest that is left.
  for (const kind of kinds) await halfHour(kind);
} catch (error) {
  problems.push(String(error.stack ?? error));
} finally {
  await browser.close();
}
if (problems.length > 0) {
  console.error([...new Set(problems)].join("\n"));
  process.exit(1);
}
console.log(JSON.stringify(done));
