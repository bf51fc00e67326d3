/** A short text for any JSON value; the work is bounded by the length asked for, not by the value. */

const shorten = (text: string, length: number): string => {
  if (text.length <= length) return text;
  const tail = Math.floor(length / 2);
  return `${text.slice(0, length - tail)} … ${text.slice(-tail)}`;
};

/** Keep both ends of a long text: the start tells what it is, the end what just came. */
export const previewText = (text: string, length: number): string => JSON.stringify(shorten(text, length));

export const preview = (value: unknown, length: number): string => {
  if (typeof value === "string") return previewText(value, length);
  if (typeof value !== "object" || value === null) return String(value);
  const list = Array.isArray(value);
  let out = "";
  for (const key in value) {
    const inner = preview((value as Record<string, unknown>)[key], Math.max(8, length - out.length));
    out += `${out && ", "}${list ? "" : `${key}: `}${inner}`;
    if (out.length > length) {
      out = `${out.slice(0, length)}…`;
      break;
    }
  }
  return list ? `[${out}]` : `{${out}}`;
};
