/** The data of a stream of server-sent events, as far as this server uses them: one `data:` line per event. */

const DATA = /^data: ?(.*)$/s;

/**
 * Yield the data of each event until the stream ends, whatever the events say: a body that is read to its end closes
 * in order, one that is dropped at its last event looks to the server like a lost client.
 */
export async function* frames(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let open = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = value.split("\n");
      lines[0] = open + lines[0];
      open = lines.pop() ?? "";
      for (const line of lines) {
        const data = DATA.exec(line)?.[1];
        if (data !== undefined) yield data;
      }
    }
  } finally {
    // A copy that nobody reads would pile up.
    void reader.cancel().catch(() => undefined);
  }
}
