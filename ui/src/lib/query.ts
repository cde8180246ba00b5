/*
 * The query as text: its colours, where an error is underlined, what a click adds to it.
 *
 * This is no parser and never decides whether a query is right: the server does. It only cuts the
 * text into pieces that, put together again, are the text, byte for byte.
 */
export type PieceKind =
  | 'space'
  | 'word'
  | 'key'
  | 'module'
  | 'flag'
  | 'string'
  | 'comment'
  | 'operator'
  | 'pipe'
  | 'macro';

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
    '(?<macro>\\$[A-Z0-9_-]+)',
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
  return withStage(query, `grep ${inverted ? '-v ' : ''}${quoted(pattern)}`);
}

/** Where the value of a field was seen: it says which stage can look at it. */
export type FieldSource =
  | 'value'
  | 'json'
  | 'kv'
  | 'syslog'
  | 'csv'
  | 'ax' /* by the extraction definitions of the tags */
  | `regex ${string}`; /* with the expression, whose group is the field */

/**
 * Keeps the entries whose field has this value, or those that have another or none, by a stage
 * before a `limit` or renderer at the end.
 */
export function withField(
  query: string,
  source: FieldSource,
  name: string,
  value: string,
  inverted: boolean,
): string {
  const text = quotedAlways(value);
  if (source !== 'value') {
    return withStage(query, `${taking(source)} ${name}${inverted ? '!=' : '=='}${text}`);
  }
  const is = `${valueName(name)} == ${text}`;
  return withStage(query, `eval ${inverted ? `!(${is})` : is}`);
}

/** The most frequent values of a field in all entries, instead of what the query ended in. */
export function topValuesOf(query: string, source: FieldSource, name: string): string {
  const { head } = cut(query);
  const key = lastPart(name);
  const take = taken(source, name);
  const by = source === 'value' ? wordOf(name) : key;
  return join(head, `${take}count by ${by} | sort by count desc | table ${by} count`);
}

/** A field's most frequent values over time. */
export function valuesOverTime(query: string, source: FieldSource, name: string): string {
  const { head } = cut(query);
  const take = taken(source, name);
  const by = source === 'value' ? wordOf(name) : lastPart(name);
  return join(head, `${take}stats count by ${by} | chart count by ${by}`);
}

/** The stage that takes a field out, and the pipe behind it. */
function taken(source: FieldSource, name: string): string {
  if (source === 'value') {
    return '';
  }
  return source.startsWith('regex ') ? `${source} | ` : `${taking(source)} ${name}${as(name)} | `;
}

/** Adds a stage before a `limit` or renderer at the end. */
export function withStage(query: string, stage: string): string {
  const { head, kept } = cut(query);
  const joined = join(head, stage);
  return kept === '' ? joined : `${joined} | ${kept}`;
}

const TAIL = new RegExp(
  '\\s*\\|?\\s*((?:limit\\b[^|]*\\|?\\s*)?(?:(?:' +
    'text|raw|hex|pcap|table|chart|stackgraph|gauge|numbercard|wordcloud|pointmap|heatmap|' +
    'point2point|fdg' +
    ')\\b[^|]*)?)$',
  'u',
);

/** A `limit` and the renderer at the end, and what stands before them. */
function cut(query: string): { head: string; kept: string } {
  const tail = TAIL.exec(query);
  const kept = tail?.[1]?.trim() ?? '';
  const head = kept === '' ? query.trim() : query.slice(0, tail?.index ?? query.length).trim();
  return { head, kept };
}

function join(head: string, stage: string): string {
  const separator = /^(?:\s*(?:tag|start|end)=(?:"[^"]*"|\S+))*\s*$/u.test(head) ? ' ' : ' | ';
  return head === '' ? stage : `${head}${separator}${stage}`;
}

const PLAIN = /^[\p{L}_][\p{L}\p{N}_-]*$/u;

/** A path as json and kv take it: its parts quoted where they are odd. */
export function pathOf(parts: readonly string[]): string {
  return parts
    .map((part) => (PLAIN.test(part) || /^\[\d*\]$/.test(part) ? part : quotedAlways(part)))
    .join('.');
}

function lastPart(path: string): string {
  const last = path.slice(path.lastIndexOf('.') + 1);
  return PLAIN.test(last) ? last : 'value';
}

function as(path: string): string {
  return path === lastPart(path) ? '' : ` as ${lastPart(path)}`;
}

/** The module that takes a field out. */
function taking(source: FieldSource): string {
  return source === 'kv' ? 'kv -q' : source;
}

function wordOf(name: string): string {
  return PLAIN.test(name) ? name : quotedAlways(name);
}

function valueName(name: string): string {
  return /^[\p{L}_][\p{L}\p{N}_]*$/u.test(name) ? name : `$(${name.replace(/[()]/g, '')})`;
}

function quoted(pattern: string): string {
  return /^[\w-]+$/u.test(pattern) && !pattern.startsWith('-') ? pattern : quotedAlways(pattern);
}

function quotedAlways(text: string): string {
  return `"${text.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n').replace(/\r/g, '\\r').replace(/\t/g, '\\t')}"`;
}
