// A scenario as a program: settings in, steps one after another, a report out. Shared by the drivers here.
//
//   node driver.mjs '<settings>'     one scenario, its steps in the settings
//   node driver.mjs < lines          first line the settings (or just the list of steps), then one step a line
//
// A step that arrives as a line is answered by a line, `{"step": …}`. The last line is the report. The first step
// that fails ends the scenario: the report then has `failure`, and the exit status is 1.

import { createInterface } from "node:readline";

const print = (value) => new Promise((resolve) => process.stdout.write(`${JSON.stringify(value)}\n`, resolve));

/** The text of `error`, with its stack, without the colours that some libraries put in. */
const textOf = (error) => (error?.stack ?? String(error)).replace(/\u001b\[[0-9;]*m/g, "");

const inputOf = (argument) =>
  argument === undefined
    ? createInterface({ input: process.stdin, crlfDelay: Infinity })[Symbol.asyncIterator]()
    : [argument][Symbol.iterator]();

/**
 * Run one scenario and end the process.
 *
 * `open(settings)` comes first, then `perform(step)` for each step: what it returns is what the report says the step
 * saw. `report()` is asked even after a failure, and `close()` always comes last.
 */
export const play = async ({ open, perform, report, close }) => {
  const seen = [];
  let failure = null;
  let doing = "opening";
  try {
    const input = inputOf(process.argv[2]);
    const first = JSON.parse((await input.next()).value);
    const settings = Array.isArray(first) ? { steps: first } : first;
    await open(settings);
    const take = async (step, answer) => {
      doing = step;
      const result = { index: seen.length, do: step.do, ...(await perform(step)) };
      seen.push(result);
      if (answer) await print({ step: result });
    };
    for (const step of settings.steps ?? []) await take(step, false);
    for (;;) {
      const { value: line, done } = await input.next();
      if (done) break;
      if (line !== "") await take(JSON.parse(line), true);
    }
  } catch (error) {
    failure = { index: seen.length, step: doing, message: textOf(error) };
  }
  let told = {};
  try {
    told = await report();
  } catch (error) {
    failure ??= { index: seen.length, step: "report", message: textOf(error) };
  }
  await print({ failure, steps: seen, ...told });
  try {
    await close?.();
  } finally {
    process.exit(failure === null ? 0 : 1);
  }
};
