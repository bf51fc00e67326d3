// What has happened so far in one page, and the only way to wait: for a fact, never for a time.

/** Everything a report tells; `noted()` is called after each change. */
export const facts = {
  states: [], // every state the hook handed to its converter, as it was at that moment
  requests: [], // {url, method, headers, body}; a JSON body is parsed
  responses: [], // parallel to requests: {status, headers, body, end}; end: open, complete, left (read no further), aborted, error: …
  errors: [], // onError: {message, commands}
  cancels: [], // onCancel: {commands, error}
  finishes: 0,
  loading: [], // each change of the thread's isLoading: {isLoading, states: how many states had been seen}
  console: [], // {level, text}
  uncaught: [], // errors and rejections that nobody caught
};

/** Forget all of it: another scenario begins. */
export const forget = () => {
  for (const fact of Object.values(facts)) if (Array.isArray(fact)) fact.length = 0;
  facts.finishes = 0;
};

const waiting = new Set();

export const noted = () => {
  for (const check of [...waiting]) check();
};

/** Resolve once `holds()` is true; reject after `timeout` milliseconds, saying `what` was awaited. */
export const until = (holds, timeout, what) =>
  new Promise((resolve, reject) => {
    const done = (settle) => {
      waiting.delete(check);
      clearTimeout(timer);
      settle();
    };
    const check = () => {
      try {
        if (holds()) done(resolve);
      } catch (error) {
        done(() => reject(error));
      }
    };
    const timer = setTimeout(
      () => done(() => reject(new Error(`waited ${timeout} ms for ${what}`))),
      timeout,
    );
    waiting.add(check);
    check();
  });

/** Let everything that is already scheduled (React's work included) run. */
export const settle = async () => {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
};
