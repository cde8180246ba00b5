/*
 * What to suggest while a query is typed: tags, modules and their flags, fields, macros, saved
 * queries. Pure; the editor shows it (editor/codemirror.ts).
 */
import { moduleHelp, MODULES, type ModuleHelp } from './modules';
import { pieces, type Piece } from './query';

export type SuggestionKind = 'tag' | 'module' | 'flag' | 'field' | 'macro' | 'query' | 'word';

export interface Suggestion {
  kind: SuggestionKind;
  /** What the list shows. */
  text: string;
  hint: string;
  /** What is put in its place; without it `text`. */
  insert?: string;
  /** Two lines at most: how it is written, what it does. */
  help?: string;
}

export interface Suggestions {
  /** Where what is replaced begins; it ends at the caret. */
  from: number;
  items: Suggestion[];
}

/** What there is to suggest, besides the language itself. */
export interface Known {
  tags: string[];
  macros?: Suggestion[];
  /** Saved queries; `insert` is the whole query. */
  queries?: Suggestion[];
  /** Fields that results have shown. */
  fields?: string[];
}

const SUGGESTIONS_MAX = 60;
const NAME = /[\p{L}_][\p{L}\p{N}_.]*/u;

/** Null: nothing to suggest here. */
export function suggest(query: string, caret: number, known: Known): Suggestions | null {
  const before = query.slice(0, caret);
  const last = pieces(before).at(-1);
  if (last?.kind === 'comment' || (last?.kind === 'string' && !before.endsWith(' '))) {
    return null;
  }
  return (
    tagsAt(before, known) ??
    macrosAt(before, known) ??
    flagsAt(before) ??
    modulesAt(before) ??
    fieldsAt(before, known) ??
    beginningAt(before, known)
  );
}

function tagsAt(before: string, { tags }: Known): Suggestions | null {
  const tag = /(?:^|[\s|({;])tag=(?:[^\s|,]*,)*([^\s|,"]*)$/u.exec(before);
  if (!tag) {
    return null;
  }
  const typed = tag[1] ?? '';
  const named = new Set(
    before
      .slice(tag.index)
      .replace(/^.*?tag=/u, '')
      .split(',')
      .slice(0, -1),
  );
  const free = tags.filter((one) => !named.has(one));
  return offer(
    ranked(free, typed, (one) => one).map((text) => ({ kind: 'tag', text, hint: 'tag' })),
    typed,
    before.length,
  );
}

function macrosAt(before: string, { macros = [] }: Known): Suggestions | null {
  const typed = /\$([A-Z0-9_-]*)$/i.exec(before)?.[0];
  if (typed === undefined) {
    return null;
  }
  const wish = typed.slice(1).toUpperCase();
  const found = macros.filter((macro) => macro.text.toUpperCase().includes(wish));
  const begins = (macro: Suggestion) => macro.text.toUpperCase().startsWith(`$${wish}`);
  const sorted = [...found.filter(begins), ...found.filter((macro) => !begins(macro))];
  return offer(sorted, typed, before.length);
}

/** The stage that the caret is in: its pieces from the module's name on. */
function stageAt(before: string): Piece[] {
  const all = pieces(before);
  const pipe = all.map((piece) => piece.kind).lastIndexOf('pipe');
  const stage = all.slice(pipe + 1);
  const module = stage.findIndex((piece) => piece.kind === 'module');
  return module < 0 ? [] : stage.slice(module);
}

function flagsAt(before: string): Suggestions | null {
  const typed = /(?:^|\s)(-[a-z]*)$/.exec(before)?.[1];
  const stage = stageAt(before);
  const help = typed === undefined ? undefined : moduleHelp(stage[0]?.text ?? '');
  if (typed === undefined || help === undefined) {
    return null;
  }
  const given = new Set(stage.slice(0, -1).map((piece) => piece.text));
  const items = help.flags
    .map(({ text, hint }): Suggestion => {
      const [flag = '', value = ''] = text.split(' ');
      return { kind: 'flag', text: flag, hint: value ? `${value}: ${hint}` : hint };
    })
    .filter((item) => item.text.startsWith(typed) && !given.has(item.text));
  return offer(items, typed, before.length);
}

function modulesAt(before: string): Suggestions | null {
  const pipe = /\|\s*([a-z_]*)$/.exec(before);
  const first = /(?:^|[\s;{])(?:tag|start|end)=(?:"[^"]*"|[^\s|"]+)\s+([a-z_]*)$/u.exec(before);
  const typed = (pipe ?? first)?.[1];
  if (typed === undefined || (pipe !== null && isEvalBar(before))) {
    return null;
  }
  const items = ranked(MODULES, typed, (module) => module.name).map(moduleSuggestion);
  if (first && !pipe) {
    for (const text of ['start=', 'end=']) {
      if (text.startsWith(typed) && !new RegExp(`\\b${text}`).test(before)) {
        items.push({ kind: 'word', text, hint: 'of the range searched' });
      }
    }
  }
  return offer(items, typed, before.length);
}

/** A bar inside parentheses is an operator, not the end of a stage. */
function isEvalBar(before: string): boolean {
  let depth = 0;
  for (const piece of pieces(before)) {
    if (piece.kind === 'operator') {
      depth += [...piece.text].reduce((sum, c) => sum + (c === '(' ? 1 : c === ')' ? -1 : 0), 0);
    }
  }
  return depth > 0 || before.trimEnd().endsWith('||');
}

export function moduleSuggestion(module: ModuleHelp): Suggestion {
  return {
    kind: 'module',
    text: module.name,
    hint: module.hint,
    help: `${module.name} ${module.flags.length > 0 ? '[flags] ' : ''}${module.usage}`.trim(),
  };
}

function fieldsAt(before: string, { fields = [] }: Known): Suggestions | null {
  const stage = stageAt(before);
  const module = stage[0]?.text;
  const typed = new RegExp(`[\\s(,](${NAME.source})?$`, 'u').exec(before);
  if (module === undefined || typed === null || stage.length < 2) {
    return null;
  }
  const word = typed[1] ?? '';
  // A list that opens by itself at every space would be in the way.
  if (word === '' && !/[\s(,]by\s+$/.test(before)) {
    return null;
  }
  const earlier = namesIn(before.slice(0, before.lastIndexOf('|') + 1));
  const takes = ['json', 'kv', 'syslog', 'cef', 'xml', 'intrinsic'].includes(module);
  const seen = fields.filter((name) => !earlier.includes(name));
  const items: Suggestion[] = [
    ...earlier.map((text): Suggestion => ({ kind: 'field', text, hint: 'named before' })),
    ...seen.map((text): Suggestion => ({ kind: 'field', text, hint: 'seen in results' })),
  ].filter((item) => item.hint === 'seen in results' || !takes);
  const here = new Set(stage.slice(1, -1).map((piece) => piece.text));
  const free = items.filter((item) => item.text !== word && !here.has(item.text));
  const known = items.some((item) => item.text === word && item.hint === 'named before');
  return known ? null : offer(startsWith(free, word), word, before.length);
}

/** `tag=`, a compound query's name, or a saved query by a piece of its name. */
function beginningAt(before: string, { queries = [] }: Known): Suggestions | null {
  const typed = before.trimStart();
  if (typed === '' || /[=|]/.test(typed)) {
    return null;
  }
  const items: Suggestion[] = [];
  if ('tag='.startsWith(typed)) {
    items.push({ kind: 'word', text: 'tag=', hint: 'which logs to search' });
  }
  if (typed.length >= 2) {
    items.push(...ranked(queries, typed, (one) => one.text));
  }
  return items.length === 0 ? null : { from: before.length - typed.length, items };
}

/** What the stages of a query name: fields, most likely. */
function namesIn(query: string): string[] {
  const all = pieces(query);
  const begin = all.findIndex((piece) => piece.kind === 'module');
  const whole = new RegExp(`^${NAME.source}$`, 'u');
  const named = all
    .slice(begin < 0 ? all.length : begin)
    .filter((piece) => piece.kind === 'word' && whole.test(piece.text) && piece.text !== 'by')
    .map((piece) => piece.text);
  return [...new Set(named)].sort();
}

function offer(items: Suggestion[], typed: string, caret: number): Suggestions | null {
  const useful = items.filter((item) => item.text !== typed).slice(0, SUGGESTIONS_MAX);
  return useful.length === 0 ? null : { from: caret - typed.length, items: useful };
}

function startsWith(items: Suggestion[], typed: string): Suggestion[] {
  const wish = typed.toLowerCase();
  return items.filter((item) => item.text.toLowerCase().startsWith(wish));
}

/** What begins with what was typed, then what contains it. */
function ranked<T>(all: T[], typed: string, nameOf: (one: T) => string): T[] {
  const wish = typed.toLowerCase();
  const name = (one: T) => nameOf(one).toLowerCase();
  const order = (a: T, b: T) => (name(a) < name(b) ? -1 : name(a) > name(b) ? 1 : 0);
  const begins = all.filter((one) => name(one).startsWith(wish));
  const contains = all.filter((one) => !name(one).startsWith(wish) && name(one).includes(wish));
  return [...begins.sort(order), ...contains.sort(order)];
}
