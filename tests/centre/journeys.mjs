// The journeys of the privacy centre in Chromium, by keyboard alone: at two widths, light and dark. Every page is checked by axe-core, at
// 320 pixels too, and for requests to anywhere else. Ends with 0 and a line of JSON, or says what is wrong.
//
//   node journeys.mjs BASE MAIL MODULES CHROMIUM ADDRESS,ADDRESS,ADDRESS,ADDRESS [FOLDER FOR PICTURES]
import { createRequire } from "node:module";
import { readFileSync, mkdirSync } from "node:fs";

const [base, mail, modules, executablePath, addresses, pictures] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const problems = [];
const done = { pages: 0, tabs: 0, largest: 0, journeys: 0 };

function check(holds, says) {
  if (!holds) problems.push(says);
}

class Visitor {
  constructor(page, name, address) {
    Object.assign(this, { page, name, address, shot: 0 });
  }

  /** Presses Tab until the element is reached that `selector` means; with a keyboard there is no other way. */
  async reach(selector) {
    const wanted = this.page.locator(selector).first();
    await wanted.waitFor({ state: "attached", timeout: 5000 });
    for (let step = 0; step < 80; step += 1) {
      const there = await wanted.evaluate((element) => element === document.activeElement);
      if (there) {
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
    await Promise.all([this.page.waitForNavigation({ timeout: 30000 }), this.page.keyboard.press("Enter")]);
    await this.look();
  }

  async type(selector, text) {
    await this.reach(selector);
    await this.page.keyboard.press("Control+A");
    await this.page.keyboard.type(text);
  }

  async send(text) {
    await this.follow(`main form button:has-text("${text}")`);
  }

  /** Whatever a page must hold, wherever it is. */
  async look() {
    const { page } = this;
    const where = `${this.name} ${new URL(page.url()).pathname.replace(/[0-9a-f]{32}/, "…")}`;
    const found = await page.evaluate(`${axe}; axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })`);
    for (const one of found.violations) {
      problems.push(`${where}: ${one.id}: ${one.help}: ${one.nodes.map((node) => node.html).slice(0, 2).join(" ")}`);
    }
    const raw = await page.evaluate(() => document.body.innerText.match(/\b(site|error|home|because|kinds|ways|enter|code|you|choices|receipt|requests|asked|ask|seen|status|unsubscribe)\.[a-z_]{2,}/));
    check(raw === null, `${where}: a text is missing: ${raw}`);
    const size = Buffer.byteLength(await page.content());
    done.largest = Math.max(done.largest, size);
    check(size < 30 * 1024, `${where}: ${size} bytes`);
    const before = page.viewportSize();
    for (const width of [before.width, 320]) {
      await page.setViewportSize({ width, height: before.height });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      check(wide <= 0, `${where}: ${wide} pixels too wide at ${width}`);
      const small = await page.evaluate(() =>
        [...document.querySelectorAll("button, .button, input, .pages a, .doors a")]
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
      const file = `${pictures}/${this.name}-${String(this.shot).padStart(2, "0")}.png`;
      await page.screenshot({ path: file, fullPage: true });
    }
    done.pages += 1;
  }

  async has(selector, says) {
    check((await this.page.locator(selector).count()) > 0, `${this.name}: ${says} on ${this.page.url()}`);
  }
}

/** The codes that went to an address, the newest last. */
function codes(address) {
  let mails = "";
  try {
    mails = readFileSync(mail, "utf8");
  } catch {
    // Nothing was sent yet.
  }
  const mine = mails.split("From: ").filter((one) => one.includes(`To: ${address}\r\n`));
  return mine.flatMap((one) => [...one.matchAll(/Your code is (\d{6})/g)].map((found) => found[1]));
}

async function code(address, before) {
  for (let waited = 0; waited < 300; waited += 1) {
    const sent = codes(address);
    if (sent.length > before) return sent.at(-1);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("no code came");
}

async function held(visitor) {
  const { page } = visitor;
  await page.goto(`${base}/en/`);
  await visitor.look();
  await visitor.reach(".skip");
  await page.keyboard.press("Enter");
  check(await page.evaluate(() => document.activeElement.id === "content"), `${visitor.name}: the first link does not skip to the content`);
  await visitor.has("section.card h3", "no purpose is shown");
  for (const language of ["af", "zu", "en"]) {
    await visitor.follow(`.languages a[hreflang=${language}]`);
    check((await page.locator("html").getAttribute("lang")) === language, `${visitor.name}: not in ${language}`);
  }
  await page.emulateMedia({ media: "print" });
  check(!(await page.locator(".pages").isVisible()), `${visitor.name}: the navigation is printed`);
  await page.emulateMedia({ media: "screen" });
}

async function enter(visitor) {
  const before = codes(visitor.address).length;
  await visitor.follow('.pages a:has-text("Sign in")');
  await visitor.type("#contact", "nobody");
  await visitor.send("Send me a code");
  await visitor.has("[role=alert]", "what is no address is taken");
  await visitor.type("#contact", visitor.address);
  await visitor.send("Send me a code");
  await visitor.has("[role=status]", "it is not said what happens");
  const right = await code(visitor.address, before);
  await visitor.type("#code", right === "000000" ? "000001" : "000000");
  await visitor.send("Sign in");
  await visitor.has("[role=alert]", "a wrong code is not told");
  await visitor.type("#code", right);
  await visitor.send("Sign in");
  check(page_path(visitor) === "/en/you", `${visitor.name}: not in: ${visitor.page.url()}`);
}

function page_path(visitor) {
  return new URL(visitor.page.url()).pathname;
}

async function choose(visitor) {
  const { page } = visitor;
  await visitor.follow('.doors a:has-text("Change your choices")');
  const button = ".switches li:first-child button";
  const state = async () => page.locator(button).first().getAttribute("aria-checked");
  const first = await state();
  await visitor.follow(button);
  const second = await state();
  check(second !== first, `${visitor.name}: the switch did not move`);
  check(await page.evaluate(() => document.activeElement?.getAttribute("role") === "switch"), `${visitor.name}: the focus is lost`);
  await visitor.follow(".note.good a");
  await visitor.has('a[download]', "the receipt cannot be kept");
  await visitor.follow('.pages a:has-text("Your choices")');
  await visitor.follow(button);
  check((await state()) === first, `${visitor.name}: off is not as easy as on`);
  await visitor.follow('a:has-text("form 4")');
}

async function ask(visitor) {
  await visitor.follow('.pages a:has-text("Your requests")');
  for (const kind of ["see", "object", "delete"]) {
    await visitor.follow(`.doors a[href$="/ask/${kind}"]`);
    await visitor.follow('.pages a:has-text("Your requests")');
  }
  await visitor.follow('.doors a[href$="/ask/correct"]');
  await visitor.type("#what", "My street is Main Road 12 <b>and</b> not 21.");
  await visitor.type("#why", "Moved.");
  await visitor.send("Send the request");
  const reference = await visitor.page.locator(".reference code").innerText();
  await visitor.has("p.words:has-text(\"<b>and</b>\")", "a person's own words are not shown as they are");
  return reference;
}

async function looked(visitor) {
  await visitor.follow('.pages a:has-text("Who looked")');
  await visitor.has(".card .chips li", "nobody is told to have looked");
}

async function status(visitor, reference) {
  await visitor.follow('button:has-text("Sign out")');
  await visitor.follow('.pages a:has-text("Check a request")');
  await visitor.type("#reference", "1-000000000000");
  await visitor.send("Check");
  await visitor.has("[role=alert]", "an unknown reference is taken");
  await visitor.type("#reference", reference);
  await visitor.send("Check");
  await visitor.has(".card .badge.open", "the request is not found by its reference");
}

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"] });
async function journeys([width, colorScheme], address) {
  const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.on("request", (request) => check(request.url().startsWith(`${base}/`), `a request to ${request.url()}`));
  // That a form was answered with what is to be mended is told there too.
  page.on("console", (message) => check(message.type() !== "error" || / 422 /.test(message.text()), `the browser says: ${message.text()}`));
  const visitor = new Visitor(page, `${width}-${colorScheme}`, address);
  await held(visitor);
  await enter(visitor);
  await choose(visitor);
  const reference = await ask(visitor);
  await looked(visitor);
  await status(visitor, reference);
  const cookies = await context.cookies();
  check(cookies.length <= 1 && cookies.every((cookie) => cookie.httpOnly && cookie.sameSite === "Strict"), `cookies: ${JSON.stringify(cookies)}`);
  done.journeys += 5;
  await context.close();
}

const kinds = [[360, "light"], [360, "dark"], [1280, "light"], [1280, "dark"]];
const all = addresses.split(",");
try {
  await Promise.all(kinds.map((kind, at) => journeys(kind, all[at])));
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
