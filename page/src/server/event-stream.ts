/** Server-sent events of a response. */

export type ServerEvent = { readonly id: string; readonly data: string };

/** Read the events one by one, until the response ends. */
export async function* eventsOf(response: Response): AsyncGenerator<ServerEvent> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (!reader) return;
  let pieces: string[] = []; // of a line that has not ended: a long state comes in many
  let id = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    pieces.push(value);
    if (!value.includes("\n")) continue;
    const lines = pieces.join("").split("\n");
    pieces = [lines.pop() ?? ""];
    for (const line of lines) {
      if (line.startsWith("id: ")) id = line.slice(4);
      else if (line.startsWith("data: ")) yield { id, data: line.slice(6) };
    }
  }
}
