/**
 * The inline marks of Markdown: code, bold, italics, strikethrough and links.
 *
 * What is shown is the text itself, mark by mark, so that it only ever grows while it streams, and a copy of it is whole.
 * A mark that is closed takes no room.
 */
import { memo, type ReactNode } from "react";
import { isWebAddress } from "./web-address";

/**
 * Whatever stands between two marks ends at the next one and at the line's end, and an address has a bound: so a text is
 * read in a time that its length bounds. Underscores within a word mark nothing.
 */
const MARKED = new RegExp(
  [
    /(?<code>`)(?<codeText>[^`\n]+)`/,
    /(?<bold>\*\*)(?<boldText>(?:[^*\n]|\*(?!\*))+)\*\*/,
    /(?<italic>\*)(?<italicText>(?! )[^*\n]+(?<! ))\*/,
    /(?<!\w)(?<score>_)(?<scoreText>[^_\n]+)_(?!\w)/,
    /(?<struck>~~)(?<struckText>[^~\n]+)~~/,
    /(?<link>\[)(?<linkText>[^[\]\n]+)(?<linkEnd>\]\((?<to>[^()\s]{1,2000})\))/,
    /(?<address>https?:\/\/[^\s<>"`]{0,1999}[^\s<>"`'*_~.,;:!?()[\]{}|\\])/,
  ]
    .map(({ source }) => source)
    .join("|"),
  "gi",
);

/** How deep marks may stand in others. */
const DEEPEST = 3;

/** Characters that take no room. */
export const mark = (text: string): ReactNode => (
  <span className="mark" aria-hidden="true">
    {text}
  </span>
);

const linked = (address: string, shown: ReactNode): ReactNode =>
  isWebAddress(address) ? (
    <a href={address} target="_blank" rel="noreferrer">
      {shown}
    </a>
  ) : (
    shown
  );

type Found = Readonly<Record<string, string | undefined>>;

const draw = (found: Found, depth: number): ReactNode => {
  const between = (begin: string, text = "", end = begin): ReactNode => (
    <>
      {mark(begin)}
      {split(text, depth + 1)}
      {mark(end)}
    </>
  );
  const { code, codeText, bold, boldText, italic, italicText, score, scoreText, struck, struckText } = found;
  if (code)
    return (
      <code>
        {mark(code)}
        {codeText}
        {mark(code)}
      </code>
    );
  if (bold) return <strong>{between(bold, boldText)}</strong>;
  if (italic) return <em>{between(italic, italicText)}</em>;
  if (score) return <em>{between(score, scoreText)}</em>;
  if (struck) return <del>{between(struck, struckText)}</del>;
  const { link, linkText, linkEnd, to = "", address } = found;
  return link ? linked(to, between(link, linkText, linkEnd)) : linked(address ?? "", address);
};

const split = (text: string, depth = 0): ReactNode => {
  if (depth > DEEPEST) return text;
  const pieces: ReactNode[] = [];
  let end = 0;
  for (const found of text.matchAll(MARKED)) {
    pieces.push(text.slice(end, found.index), <span key={found.index}>{draw(found.groups ?? {}, depth)}</span>);
    end = found.index + found[0].length;
  }
  pieces.push(text.slice(end));
  return pieces;
};

export const Inline = memo(function Inline({ text }: { text: string }) {
  return <>{split(text)}</>;
});
