// Scenarios, one after another: settings in, steps, a report out.
//
//   node scenario.mjs < lines
//
// A scenario begins with a line `{"play": "chat.mjs", "settings": {…}}`, which names a driver in this folder. Each further
// line is a step and is answered by a line, `{"step": …}`; the step `{"do": "report"}` tells what is known by then. The line
// `null` ends the scenario: it is answered by the report, and by `{"over": true}` once nothing of it is left, so that the
// next may begin. The first step that fails ends the process: the report then has `failure`, and the exit status is 1.
//
// A driver's default export is `{open, perform, report, close}`. `open(settings)` comes first, then `perform(step)` for each
// step: what it returns is what the report says the step saw. `report()` is asked even after a failure. `close()` leaves
// nothing behind: no request that is open, nothing mounted. What happened, and what is in the DOM, is forgotten here.

import { createInterface } from "node:readline";
import { forget } from "./facts.mjs";

const lines = createInterface({ input: process.stdin, crlfDelay: Infinity })[Symbol.asyncIterator]();

/** The next line; undefined if there is none. */
const read = async () => {
  const { value, done } = await lines.next();
  return done ? undefined : JSON.parse(value);
};

const print = (value) => new Promise((resolve) => process.stdout.write(`${JSON.stringify(value)}\n`, resolve));

/** The text of `error`, with its stack, without the colours that some libraries put in. */
const textOf = (error) => (error?.stack ?? String(error)).replace(/\u001b\[[0-9;]*m/g, "");

/** Forget the last scenario; where there is a DOM, its page is empty again. */
const clear = () => {
  forget();
  if (globalThis.window === undefined) return;
  document.body.innerHTML = '<div id="root"></div>';
  localStorage.clear();
  sessionStorage.clear();
};

const play = async ({ play: name, settings }) => {
  const seen = [];
  let driver;
  let failure = null;
  let doing = "opening";
  try {
    driver = (await import(`./${name}`)).default;
    clear();
    await driver.open(settings);
    const take = async (step) => {
      doing = step;
      const result = { index: seen.length, do: step.do, ...(await driver.perform(step)) };
      seen.push(result);
      return result;
    };
    for (const step of settings.steps ?? []) await take(step);
    for (let step; (step = await read()) !== null; ) {
      if (step === undefined) process.exit(0); // nobody wants to know
      await print({ step: step.do === "report" ? { report: await driver.report() } : await take(step) });
    }
  } catch (error) {
    failure = { index: seen.length, step: doing, message: textOf(error) };
  }
  let told = {};
  try {
    told = await driver?.report();
  } catch (error) {
    failure ??= { index: seen.length, step: "report", message: textOf(error) };
  }
  await print({ failure, steps: seen, ...told });
  if (failure !== null) process.exit(1);
  await driver.close();
  await print({ over: true });
};

for (let scenario; (scenario = await read()) !== undefined; ) await play(scenario);
process.exit(0);
