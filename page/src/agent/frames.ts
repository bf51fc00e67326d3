/** The events of a thread's stream, as far as this server uses server-sent events: an `id:` and a `data:` line each. */

export type Frame = { readonly cursor: string; readonly data: string };

const FIELD = /^(id|data): ?(.*)$/s;

/** Yield each event until the stream ends. */
export async function* frames(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<Frame> {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let cursor = "";
  let open = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = value.split("\n");
      lines[0] = open + lines[0];
      open = lines.pop() ?? "";
      for (const line of lines) {
        const [, field, text = ""] = FIELD.exec(line) ?? [];
        if (field === "id") cursor = text;
        if (field === "data") yield { cursor, data: text };
      }
    }
  } finally {
    void reader.cancel().catch(() => undefined);
  }
}
