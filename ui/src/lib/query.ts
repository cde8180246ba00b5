/*
 * The query as text: its colours, where an error is underlined, what to suggest at the caret.
 *
 * This is no parser and never decides whether a query is right: the server does. It only cuts the
 * text into pieces that, put together again, are the text, byte for byte.
 */
import { MODULES } from './modules';

export type PieceKind =
  'space' | 'word' | 'key' | 'module' | 'flag' | 'string' | 'comment' | 'operator' | 'pipe';

export interface Piece {
  kind: PieceKind;
  text: string;
  /** Underlined: the server says that the query is wrong here. */
  wrong: boolean;
}

const PATTERN = new RegExp(
  [
    '(?<comment>//[^\\n]*|/\\*[\\s\\S]*?(?:\\*/|$))',
    '(?<string>"(?:\\\\[\\s\\S]|[^"\\\\])*"?|`[^`]*`?)',
    '(?<space>\\s+)',
    '(?<pipe>\\|)',
    '(?<operator>[=!<>~,;(){}\\[\\]@]+)',
    '(?<word>(?:(?!//|/\\*)[^\\s|=!<>~,;(){}\\[\\]@"`])+)',
  ].join('|'),
  'gu',
);

const CONSTRAINTS = new Set(['tag', 'start', 'end']);

/** Where a query is wrong, as indices into the text; `to` may equal `from`. */
export interface WrongPlace {
  from: number;
  to: number;
}

/**
 * Cuts a query into coloured pieces and marks those that are wrong: at least one, if there is a
 * wrong place.
 */
export function pieces(query: string, wrong: WrongPlace | null = null): Piece[] {
  const found: Piece[] = [];
  let expectModule = false;
  let inConstraints = true;
  for (const match of query.matchAll(PATTERN)) {
    const [kind, text] = Object.entries(match.groups ?? {}).find(
      ([, value]) => value !== undefined,
    ) ?? ['word', match[0]];
    let piece = kind as PieceKind;
    if (piece === 'word') {
      const next = query.slice((match.index ?? 0) + text.length);
      if (CONSTRAINTS.has(text) && /^\s*=/.test(next)) {
        piece = 'key';
      } else if (expectModule || (inConstraints && startsModule(found))) {
        piece = 'module';
        inConstraints = false;
      } else if (text.startsWith('-') && text.length > 1) {
        piece = 'flag';
      }
    }
    if (piece === 'pipe') {
      expectModule = true;
      inConstraints = false;
    } else if (piece !== 'space' && piece !== 'comment' && piece !== 'key') {
      expectModule = false;
    }
    found.push({ kind: piece, text, wrong: false });
  }
  return wrong === null ? found : mark(found, wrong);
}

/** A word after the constraints begins the first module: `tag=web grep x`. */
function startsModule(before: Piece[]): boolean {
  const solid = before.filter((p) => p.kind !== 'space' && p.kind !== 'comment');
  const previous = solid[solid.length - 1];
  return (
    previous !== undefined &&
    previous.kind !== 'operator' &&
    before[before.length - 1]?.kind === 'space'
  );
}

function mark(all: Piece[], wrong: WrongPlace): Piece[] {
  const to = Math.max(wrong.to, wrong.from + 1);
  let at = 0;
  let marked = false;
  for (const piece of all) {
    const end = at + piece.text.length;
    if (piece.kind !== 'space' && at < to && end > wrong.from) {
      piece.wrong = marked = true;
    }
    at = end;
  }
  // White space, or the end: the server expected something there. A space is shown to carry the
  // mark.
  return marked ? all : [...all, { kind: 'space', text: '\u00a0', wrong: true }];
}

/** The server counts bytes of UTF-8, a JavaScript string counts UTF-16 units. */
export function indexOfByte(text: string, byte: number): number {
  let bytes = 0;
  let index = 0;
  for (const character of text) {
    if (bytes >= byte) {
      return index;
    }
    const code = character.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    index += character.length;
  }
  return index;
}

/* ---- suggestions ---- */

export interface Suggestion {
  /** What the list shows, and what replaces the text between `from` and the caret. */
  text: string;
  hint: string;
}

export interface Suggestions {
  from: number;
  items: Suggestion[];
}

export const SUGGESTIONS_MAX = 8;

/**
 * Tags behind `tag=` and its commas, modules behind a pipe, macros behind a dollar, in later stages
 * the names that earlier ones use, `tag=` at the very beginning.
 */
export function suggest(
  query: string,
  caret: number,
  tags: string[],
  macros: Suggestion[] = [],
): Suggestions | null {
  const before = query.slice(0, caret);
  const tag = /(?:^|\s)tag=(?:[^\s|,]*,)*([^\s|,"]*)$/u.exec(before);
  if (tag) {
    const typed = tag[1] ?? '';
    const named = new Set(
      before.slice(tag.index).trim().slice('tag='.length).split(',').slice(0, -1),
    );
    const found = ranked(
      tags.filter((t) => !named.has(t)),
      typed,
    ).map((text) => ({ text, hint: 'tag' }));
    return offer(found, typed, caret);
  }
  const macro = /\$([A-Z0-9_-]*)$/i.exec(before);
  if (macro) {
    const typed = macro[0];
    const wish = typed.toUpperCase();
    return offer(
      macros.filter((m) => m.text.toUpperCase().startsWith(wish)),
      typed,
      caret,
    );
  }
  const module = /\|\s*([a-z_]*)$/.exec(before);
  if (module) {
    const typed = module[1] ?? '';
    return offer(
      MODULES.filter((m) => m.text.startsWith(typed)),
      typed,
      caret,
    );
  }
  const field = /\|[^|]*[\s(]([\p{L}_][\p{L}\p{N}_.]*)$/u.exec(before);
  if (field) {
    const typed = field[1] ?? '';
    const names = namesIn(before.slice(0, before.lastIndexOf('|')));
    const items = names
      .filter((name) => name.startsWith(typed))
      .map((text) => ({ text, hint: 'named before' }));
    return items.some((item) => item.text === typed) ? null : offer(items, typed, caret);
  }
  if (before !== '' && 'tag='.startsWith(before)) {
    return offer([{ text: 'tag=', hint: 'which logs to search' }], before, caret);
  }
  return null;
}

/** What the stages of a query name: fields, most likely. */
function namesIn(query: string): string[] {
  const all = pieces(query);
  const begin = all.findIndex((piece) => piece.kind === 'module');
  const named = all
    .slice(begin < 0 ? all.length : begin)
    .filter((piece) => piece.kind === 'word' && /^[\p{L}_][\p{L}\p{N}_.]*$/u.test(piece.text));
  return [...new Set(named.map((piece) => piece.text))].sort();
}

function offer(items: Suggestion[], typed: string, caret: number): Suggestions | null {
  const useful = items.filter((item) => item.text !== typed).slice(0, SUGGESTIONS_MAX);
  return useful.length === 0 ? null : { from: caret - typed.length, items: useful };
}

/** Tags that begin with what was typed, then those that contain it. */
function ranked(tags: string[], typed: string): string[] {
  const wish = typed.toLowerCase();
  const begins = tags.filter((t) => t.toLowerCase().startsWith(wish));
  const contains = tags.filter(
    (t) => !t.toLowerCase().startsWith(wish) && t.toLowerCase().includes(wish),
  );
  return [...begins.sort(), ...contains.sort()];
}

/* ---- changes made by a click ---- */

/** The same query over one tag only; a query without `tag=` gets one. */
export function withTag(query: string, tag: string): string {
  const constraint = /(^|\s)tag=("[^"]*"|[^\s|]+)/u;
  return constraint.test(query)
    ? query.replace(constraint, (_, lead: string) => `${lead}tag=${tag}`)
    : `tag=${tag} ${query}`.trim();
}

/** Adds `grep` for a piece of an entry, before a `limit` or renderer at the end. */
export function withGrep(query: string, pattern: string, inverted: boolean): string {
  const stage = `grep ${inverted ? '-v ' : ''}${quoted(pattern)}`;
  const tail = /\s*\|?\s*((?:limit\b[^|]*\|?\s*)?(?:(?:text|raw)\b[^|]*)?)$/u.exec(query);
  const kept = tail?.[1]?.trim() ?? '';
  const head = kept === '' ? query.trim() : query.slice(0, tail?.index ?? query.length).trim();
  const separator = /^(?:\s*(?:tag|start|end)=(?:"[^"]*"|\S+))*\s*$/u.test(head) ? ' ' : ' | ';
  const joined = head === '' ? stage : `${head}${separator}${stage}`;
  return kept === '' ? joined : `${joined} | ${kept}`;
}

function quoted(pattern: string): string {
  return /^[\w-]+$/u.test(pattern) && !pattern.startsWith('-')
    ? pattern
    : `"${pattern.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n').replace(/\t/g, '\\t')}"`;
}
