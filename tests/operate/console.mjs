// A reviewer's half hour on the console in Chromium, by keyboard alone: at two widths, light and dark. Ends with 0 and a line of JSON, or
// says what is wrong.
//
//   node console.mjs MODULES CHROMIUM BASE REVIEWER:PASSWORD OFFICER:PASSWORD [FOLDER FOR PICTURES]
import { Journeys, Visitor, argumentsOf } from "../support/visitor.mjs";

const { own: [base, reviewer, officer, pictures], ...program } = argumentsOf(process);
const hit = "button, .button, input, select, .pages a";
const journeys = new Journeys({ ...program, base, pictures, tabs: 250, patience: 10000, hit });
const check = journeys.check.bind(journeys);

class Reviewer extends Visitor {
  async place(name) {
    await this.follow(`.pages a:has-text("${name}")`);
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

async function halfHour([width, colorScheme, who, verdict]) {
  await journeys.visit(width, colorScheme, 1, async (page) => {
    const visitor = new Reviewer(journeys, page, `${width}-${colorScheme}`);
    await visitor.enter(who);
    await judge(visitor, verdict);
    await look(visitor);
    if (who === officer && width === 360) await certify(visitor);
    await visitor.follow('button:has-text("Log out")');
    await page.goto(`${base}/matrix`);
    check(new URL(page.url()).pathname === "/enter", `${visitor.name}: still in`);
  });
}

const kinds = [[360, "light", officer, "Incident"], [360, "dark", reviewer, "Ask"], [1280, "light", reviewer, "Expected"], [1280, "dark", officer, "Ask"]];
await journeys.end(async () => {
  // One after the other: each judges the heaviest that is left.
  for (const kind of kinds) await halfHour(kind);
});
