// Open two windows on a thread, and photograph both while the agent works: `node record.mjs <url> <folder> <chromium>`.
// Prints one JSON object a frame: the files of both windows, and for how many milliseconds they are shown.

import { chromium } from "playwright-core";

const [url, folder, executablePath] = process.argv.slice(2);
const SIZE = { width: 620, height: 640 };
const EVERY = 180; // ms between two photographs
const by = (name) => `[data-testid="${name}"]`;

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const open = async () => {
  const context = await browser.newContext({ viewport: SIZE, colorScheme: "light", reducedMotion: "reduce" });
  const page = await context.newPage();
  await page.goto(url);
  await page.locator(by("composer-input")).waitFor();
  return page;
};
const [left, right] = [await open(), await open()];

let count = 0;
const frame = async (milliseconds, step) => {
  const files = [`${folder}/${count}-left.png`, `${folder}/${count}-right.png`];
  await Promise.all([left.screenshot({ path: files[0] }), right.screenshot({ path: files[1] })]);
  count += 1;
  console.log(JSON.stringify({ files, milliseconds, step }));
};
/** Photograph until what is waited for has come. */
const until = async (waiting, step) => {
  let done = false;
  waiting.then(() => (done = true), () => (done = true));
  while (!done) {
    await frame(EVERY, step);
    await new Promise((resolve) => setTimeout(resolve, EVERY));
  }
  await waiting;
};
const tab = (page, name) => page.getByRole("tab", { name }).click();
const shows = (page, text) => page.getByText(text).first().waitFor({ timeout: 60_000 });

await frame(900, "Two windows");
await left.locator(by("composer-input")).fill("Plan my garden");
await frame(700, "Write in one");
await left.locator(by("composer-send")).click();
await until(shows(left, "Tomatoes get"), "The agent changes its state");
await right.reload(); // before the first message, there was no thread to follow
await until(shows(left, "Beans get"), "Both follow the run");
const reloaded = left.reload();
await frame(700, "Reload in mid-answer");
await reloaded;
await tab(right, "State");
await until(shows(left, "Carrots get"), "One shows the answer, the other the state");
await tab(right, "Chat");
await until(right.locator(by("ask-user-input")).waitFor({ timeout: 60_000 }), "Nothing is lost");
await frame(1200, "The agent asks a question");
await right.locator(by("ask-user-input")).fill("Strawberries");
await frame(900, "Answer in the other window");
await right.locator(by("ask-user-submit")).click();
await until(shows(left, "the plan is complete"), "The run goes on in both");
await frame(2500, "The run goes on in both");
await browser.close();
