// Drive a real Chromium through a scenario and report what its tabs saw.
//
// All scenarios share a browser, and each has a context of its own there, as private windows have. README.md beside this
// file lists the settings and steps; scenario.mjs says how they come in.

import { chromium } from "playwright-core";

const TIMEOUT = 60_000; // ms for one step, where the step does not say
const ARGUMENTS = [
  "--headless",
  "--no-sandbox", // test machines often run as root, or without user namespaces
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const tabs = new Map();
let seen;
let browser; // stays until the process ends
let context;
let current;

const nameOf = (page) => [...tabs].find(([, tab]) => tab === page)?.[0] ?? null;

const watch = (name, page) => {
  tabs.set(name, page);
  current = page;
  page.on("console", (message) => seen.console.push({ tab: name, level: message.type(), text: message.text() }));
  page.on("pageerror", (error) => seen.pageErrors.push({ tab: name, text: error.stack ?? error.message }));
  page.on("request", (request) => {
    const record = {
      tab: name,
      method: request.method(),
      url: request.url(),
      body: request.postData(),
      status: null, // stays null until the headers of a response are there
      failure: null,
    };
    seen.network.push(record);
    recordOf.set(request, record);
  });
  page.on("response", (response) => {
    const record = recordOf.get(response.request());
    if (record) record.status = response.status();
  });
  page.on("requestfailed", (request) => {
    const record = recordOf.get(request);
    if (record) record.failure = request.failure()?.errorText ?? "failed";
  });
};
const recordOf = new WeakMap();

/** The value of `attribute` of one element, or its text: what it shows, or holds if it is a field. */
const readOne = (element, attribute) => {
  if (attribute !== null) return element.getAttribute(attribute);
  return "value" in element && element.tagName !== "LI" && element.tagName !== "BUTTON" ? element.value : element.innerText;
};

const waits = async ({ selector, text, attribute, equals, count, function: source, argument, state }, timeout) => {
  if (source !== undefined) {
    const handle = await current.waitForFunction(`(${source})(${JSON.stringify(argument ?? null)})`, null, { timeout });
    return { value: await handle.jsonValue() };
  }
  if (attribute !== undefined) {
    await current.waitForFunction(
      ([where, name, value]) =>
        [...document.querySelectorAll(where)].some((element) =>
          value === null ? element.hasAttribute(name) : element.getAttribute(name) === value,
        ),
      [selector, attribute, equals ?? null],
      { timeout },
    );
    return {};
  }
  if (count !== undefined) {
    await current.waitForFunction(
      ([where, least]) => document.querySelectorAll(where).length >= least,
      [selector, count],
      { timeout },
    );
    return {};
  }
  const found = current.locator(selector);
  await (text === undefined ? found : found.filter({ hasText: text })).first().waitFor({ state: state ?? "visible", timeout });
  return {};
};

const STEPS = {
  goto: async ({ url }, timeout) => {
    const response = await current.goto(url, { timeout, waitUntil: "load" });
    return { status: response?.status() ?? null };
  },
  fill: ({ selector, text }, timeout) => current.locator(selector).first().fill(text, { timeout }),
  type: ({ selector, text }, timeout) => current.locator(selector).first().pressSequentially(text, { timeout }),
  click: ({ selector, text }, timeout) => {
    const found = current.locator(selector);
    return (text === undefined ? found : found.filter({ hasText: text })).first().click({ timeout });
  },
  press: ({ selector, key }, timeout) =>
    selector === undefined ? current.keyboard.press(key) : current.locator(selector).first().press(key, { timeout }),
  /** Click what asks for files, and give it some: `{name, type, data}`, the data as Base64. */
  upload: async ({ selector, files }, timeout) => {
    const [chooser] = await Promise.all([
      current.waitForEvent("filechooser", { timeout }),
      current.locator(selector).first().click({ timeout }),
    ]);
    const given = files.map(({ name, type, data }) => ({ name, mimeType: type, buffer: Buffer.from(data, "base64") }));
    await chooser.setFiles(given, { timeout });
  },
  wait: waits,
  read: async ({ selector, attribute }) => ({
    texts: await current.locator(selector).evaluateAll(
      (elements, [source, name]) => {
        const read = new Function(`return (${source})`)();
        return elements.map((element) => read(element, name));
      },
      [String(readOne), attribute ?? null],
    ),
  }),
  evaluate: async ({ function: source, argument }) => ({
    value: (await current.evaluate(`(${source})(${JSON.stringify(argument ?? null)})`)) ?? null,
  }),
  screenshot: async ({ file, fullPage }, timeout) => {
    await current.screenshot({ path: file, fullPage: fullPage ?? false, timeout });
    return { file };
  },
  viewport: ({ width, height }) => current.setViewportSize({ width, height }),
  reload: async (_, timeout) => void (await current.reload({ timeout })),
  back: async (_, timeout) => void (await current.goBack({ timeout })),
  /** Open a tab under a name, or go back to the one that has it; steps go to the tab named last. */
  tab: async ({ name, url }, timeout) => {
    if (tabs.has(name)) current = tabs.get(name);
    else watch(name, await context.newPage());
    await current.bringToFront();
    if (url !== undefined) await current.goto(url, { timeout });
    return {};
  },
  close: async () => {
    const name = nameOf(current);
    tabs.delete(name);
    await current.close();
    current = [...tabs.values()].at(-1);
    return { closed: name };
  },
  offline: ({ offline }) => context.setOffline(offline ?? true),
};

const open = async ({ executable, viewport, headers, locale, colorScheme, ignoreHTTPSErrors }) => {
  browser ??= await chromium.launch({ executablePath: executable, args: ARGUMENTS, headless: true });
  seen = { console: [], pageErrors: [], network: [] };
  tabs.clear();
  context = await browser.newContext({
    viewport: viewport ?? { width: 1280, height: 800 },
    ...(headers && { extraHTTPHeaders: headers }),
    ...(locale && { locale }),
    ...(colorScheme && { colorScheme }),
    ...(ignoreHTTPSErrors && { ignoreHTTPSErrors }),
  });
  watch("first", await context.newPage());
};

const perform = async (step) => {
  const act = STEPS[step.do];
  if (act === undefined) throw new Error(`unknown step ${JSON.stringify(step.do)}`);
  const result = await act(step, step.timeout ?? TIMEOUT);
  return { tab: nameOf(current), url: current?.url() ?? null, ...result };
};

export default {
  open,
  perform,
  report: async () => ({
    ...seen,
    pages: await Promise.all(
      [...tabs].map(async ([name, page]) => ({ tab: name, url: page.url(), text: await page.innerText("body").catch(() => null) })),
    ),
  }),
  close: () => context.close(),
};
