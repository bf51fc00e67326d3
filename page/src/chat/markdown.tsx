/**
 * The Markdown that models write: headings, lists, quotations, tables, fenced code, and what `Inline` draws within them.
 *
 * What is shown is the text itself, as in `Inline`: no HTML is made of it, and a copy of it is whole. A text is read once,
 * line by line; what cannot be told from a line and the one behind it stays text.
 */
import { memo, type ReactNode } from "react";
import { Inline, mark } from "./inline";

type Kind = "text" | "heading" | "item" | "numbered" | "quote" | "code" | "table";
type Block = { readonly kind: Kind; readonly text: string };

const FENCE = /^ *(`{3,}(?=[^`]*$)|~{3,})/;
const DIVIDER = /^ *\|?(?: *:?-+:? *\|)+(?: *:?-+:?)? *$/;
const STARTS: readonly (readonly [Kind, RegExp])[] = [
  ["heading", /^#{1,6} /],
  ["item", /^ *[-*+] /],
  ["numbered", /^ *\d{1,9}[.)] /],
  ["quote", /^> ?/],
];
const BULLET = /^( *)[-*+] /;
const NUMBER = /^ */;
const CELL = /(?:\\[\s\S]|[^|])*\|?/g;

/** How deep an item may stand in others. */
const DEEPEST = 4;

const kindOf = (line: string): Kind => STARTS.find(([, start]) => start.test(line))?.[0] ?? "text";

/** Whether a line closes the code that a fence has opened. */
const closes = (line: string, fence: string): boolean => {
  const rest = line.trim();
  return rest.length >= fence.length && rest === fence.charAt(0).repeat(rest.length);
};

/** Cut a text into blocks, each with the line end behind it. */
const blocksOf = (text: string): readonly Block[] => {
  const blocks: { kind: Kind; lines: string[] }[] = [];
  let fence: string | undefined; // of the code that is open
  const lines = text.split(/(?<=\n)/);
  lines.forEach((line, index) => {
    const last = blocks.at(-1);
    const opens = FENCE.exec(line.trimEnd())?.[1];
    if (fence !== undefined) {
      last?.lines.push(line);
      if (closes(line, fence)) fence = undefined;
    } else if (opens !== undefined) {
      fence = opens;
      blocks.push({ kind: "code", lines: [line] });
    } else if (line.includes("|") && (last?.kind === "table" || DIVIDER.test(lines[index + 1]?.trimEnd() ?? ""))) {
      if (last?.kind === "table") last.lines.push(line);
      else blocks.push({ kind: "table", lines: [line] });
    } else {
      const kind = kindOf(line);
      if (kind === "text" && last?.kind === "text") last.lines.push(line);
      else blocks.push({ kind, lines: [line] });
    }
  });
  return blocks.map(({ kind, lines }) => ({ kind, text: lines.join("") }));
};

/** Draw what is between a text's first and last characters that take no room: its start, and its line end. */
const drawn = (text: string, start: RegExp, rest: (text: string) => ReactNode): ReactNode => {
  const begin = start.exec(text)?.[0] ?? "";
  const end = text.endsWith("\n") ? "\n" : "";
  return (
    <>
      {begin && mark(begin)}
      {rest(text.slice(begin.length, text.length - end.length))}
      {end && mark(end)}
    </>
  );
};

const inline = (text: string): ReactNode => <Inline text={text} />;

/** How deep an item stands in others. */
const depthOf = (text: string): number => Math.min(DEEPEST, Math.floor((/^ */.exec(text)?.[0].length ?? 0) / 2));

function Code({ text }: { readonly text: string }) {
  const begin = /^[^\n]*\n?/.exec(text)?.[0] ?? "";
  const fence = FENCE.exec(begin.trimEnd())?.[1] ?? "";
  const last = text.lastIndexOf("\n", text.length - 2) + 1;
  const isClosed = last >= begin.length && closes(text.slice(last), fence);
  // The line end before the closing fence belongs to it: else an empty line is shown.
  const end = Math.max(begin.length, isClosed ? last - 1 : text.length);
  return (
    <code className="fence" tabIndex={0}>
      {mark(begin)}
      {text.slice(begin.length, end)}
      {end < text.length && mark(text.slice(end))}
    </code>
  );
}

/** Cut a row into its cells: what is shown of each, and the characters before and behind it. */
const cellsOf = (row: string): readonly (readonly [string, string, string])[] => {
  const cells: string[] = (row.match(CELL) ?? []).filter((cell) => cell !== "");
  if (cells.length > 1 && cells[0]?.trim() === "|") cells.splice(0, 2, `${cells[0]}${cells[1]}`);
  if (cells.length > 1 && cells.at(-1)?.trim() === "") cells.splice(-2, 2, `${cells.at(-2)}${cells.at(-1)}`);
  return cells.map((cell) => {
    const before = /^\s*\|?\s*/.exec(cell)?.[0] ?? "";
    const rest = cell.slice(before.length).trimEnd();
    const shown = rest.endsWith("|") && !rest.endsWith("\\|") ? rest.slice(0, -1).trimEnd() : rest;
    return [before, shown, cell.slice(before.length + shown.length)];
  });
};

function Table({ text }: { readonly text: string }) {
  const [head = "", divider = "", ...rows] = text.split(/(?<=\n)/);
  const row = (line: string, kind: "columnheader" | "cell", behind = "") => {
    const cells = cellsOf(line);
    return cells.map(([before, shown, after], index) => (
      <span role={kind} key={index}>
        {mark(before)}
        <Inline text={shown} />
        {mark(index === cells.length - 1 ? after + behind : after)}
      </span>
    ));
  };
  return (
    <span className="table-scroll" tabIndex={0}>
      <span className="table" role="table">
        <span role="row">{row(head, "columnheader", divider)}</span>
        {rows.map((line, index) => (
          <span role="row" key={index}>
            {row(line, "cell")}
          </span>
        ))}
      </span>
    </span>
  );
}

const Piece = memo(function Piece({ kind, text }: Block) {
  switch (kind) {
    case "text":
      return <Inline text={text} />;
    case "code":
      return <Code text={text} />;
    case "table":
      return <Table text={text} />;
    case "heading":
      return (
        <strong className="block heading" role="heading" aria-level={3}>
          {drawn(text, /^#{1,6} /, inline)}
        </strong>
      );
    case "item":
      return (
        <span className="block item" role="listitem" aria-level={depthOf(text) + 1} data-depth={depthOf(text)}>
          {drawn(text, BULLET, inline)}
        </span>
      );
    case "numbered":
      return (
        <span className="block numbered" role="listitem" aria-level={depthOf(text) + 1} data-depth={depthOf(text)}>
          {drawn(text, NUMBER, inline)}
        </span>
      );
    case "quote":
      return <span className="block quotation">{drawn(text, /^> ?/, inline)}</span>;
  }
});

const isItem = ({ kind }: Block): boolean => kind === "item" || kind === "numbered";

/** Put neighbouring items together, which are a list. */
const listed = (blocks: readonly Block[]): readonly (readonly Block[])[] => {
  const groups: Block[][] = [];
  for (const block of blocks) {
    const last = groups.at(-1);
    if (last?.[0] && isItem(last[0]) && isItem(block)) last.push(block);
    else groups.push([block]);
  }
  return groups;
};

export function Markdown({ text }: { readonly text: string }) {
  return listed(blocksOf(text)).map((blocks, index) => {
    const pieces = blocks.map((block, place) => <Piece key={place} {...block} />);
    const isList = blocks.some(isItem);
    return (
      <span key={index} role={isList ? "list" : undefined}>
        {pieces}
      </span>
    );
  });
}
