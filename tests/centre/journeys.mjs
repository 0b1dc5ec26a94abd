// The journeys of the privacy centre in Chromium, by keyboard alone: at two widths, light and dark. Ends with 0 and a line of JSON, or
// says what is wrong.
//
//   node journeys.mjs MODULES CHROMIUM BASE MAIL ADDRESS,ADDRESS,ADDRESS,ADDRESS [FOLDER FOR PICTURES]
import { readFileSync } from "node:fs";
import { Journeys, Visitor, argumentsOf } from "../support/visitor.mjs";

const { own: [base, mail, addresses, pictures], ...program } = argumentsOf(process);
const hit = "button, .button, input, .pages a, .doors a";
const journeys = new Journeys({ ...program, base, pictures, tabs: 80, patience: 5000, hit });
const check = journeys.check.bind(journeys);

class Person extends Visitor {
  constructor(page, name, address) {
    super(journeys, page, name);
    this.address = address;
  }

  async send(text) {
    await this.follow(`main form button:has-text("${text}")`);
  }

  async more(where, bytes) {
    const raw = await this.page.evaluate(() => document.body.innerText.match(/\b(site|error|home|because|kinds|ways|enter|code|you|choices|receipt|requests|asked|ask|seen|status|unsubscribe)\.[a-z_]{2,}/));
    check(raw === null, `${where}: a text is missing: ${raw}`);
    check(bytes < 30 * 1024, `${where}: ${bytes} bytes`);
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

async function fiveJourneys([width, colorScheme], address) {
  await journeys.visit(width, colorScheme, 5, async (page) => {
    const visitor = new Person(page, `${width}-${colorScheme}`, address);
    await held(visitor);
    await enter(visitor);
    await choose(visitor);
    const reference = await ask(visitor);
    await looked(visitor);
    await status(visitor, reference);
  });
}

const kinds = [[360, "light"], [360, "dark"], [1280, "light"], [1280, "dark"]];
const all = addresses.split(",");
await journeys.end(() => Promise.all(kinds.map((kind, at) => fiveJourneys(kind, all[at]))));
