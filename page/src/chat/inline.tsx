/**
 * The inline marks of Markdown: code, bold and links.
 *
 * What is shown is the text itself, mark by mark, so that it only ever grows while it streams, and a copy of it is whole.
 * A mark that is closed takes no room.
 */
import { memo, type ReactNode } from "react";
import { isWebAddress } from "./web-address";

/** An address has a bound, and a link none within it: so a text is read in a time that its length bounds. */
const MARKED = /(`)([^`\n]+)(`)|(\*\*)([^*\n]+)(\*\*)|(\[)([^[\]\n]+)(\]\(([^()\s]{1,2000})\))/g;

/** Characters that take no room. */
export const mark = (text: string): ReactNode => (
  <span className="mark" aria-hidden="true">
    {text}
  </span>
);

const draw = ([, tick, code, tickEnd, stars, bold, starsEnd, bracket, link, bracketEnd, address]: RegExpExecArray) => {
  if (tick && tickEnd)
    return (
      <code>
        {mark(tick)}
        {code}
        {mark(tickEnd)}
      </code>
    );
  if (stars && starsEnd)
    return (
      <strong>
        {mark(stars)}
        {bold}
        {mark(starsEnd)}
      </strong>
    );
  if (!bracket || !bracketEnd || !address) return null;
  const shown = (
    <>
      {mark(bracket)}
      {link}
      {mark(bracketEnd)}
    </>
  );
  return isWebAddress(address) ? (
    <a href={address} target="_blank" rel="noreferrer">
      {shown}
    </a>
  ) : (
    shown
  );
};

const split = (text: string): ReactNode[] => {
  const pieces: ReactNode[] = [];
  let end = 0;
  for (const found of text.matchAll(MARKED)) {
    pieces.push(text.slice(end, found.index), <span key={found.index}>{draw(found)}</span>);
    end = found.index + found[0].length;
  }
  pieces.push(text.slice(end));
  return pieces;
};

export const Inline = memo(function Inline({ text }: { text: string }) {
  return <>{split(text)}</>;
});
