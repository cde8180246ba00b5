/*
 * The fields of entries, as far as the page can see them: values that arrived with an entry or were
 * taken out of it by the query, what the tag's extractor finds (the server says that), members of
 * JSON, RFC 5424 headers, parts of well-known lines, columns, and pairs `key=value`. They are for
 * clicking; what a query finds is the server's to say.
 */
import { textOf, type Entry } from './entry';
import { cellsOf, partsOf } from './forms';
import { pathOf, type FieldSource } from './query';

export interface Field {
  /** As the language writes it. */
  name: string;
  source: FieldSource;
  /** As it is shown. */
  value: string;
  /** As a filter compares it. */
  raw: string;
}

const FIELDS_MAX = 200;
const DEPTH_MAX = 6;
const ELEMENTS_MAX = 5;
const TEXT_CHARACTERS_MAX = 32_768;

const known = new WeakMap<Entry, Field[]>();

/** The fields of one entry; read once. */
export function fieldsOf(entry: Entry): Field[] {
  let found = known.get(entry);
  if (found === undefined) {
    found = read(entry);
    known.set(entry, found);
  }
  return found;
}

/** What the server finds in an entry, as the API has it. */
export interface WireElement {
  Module: string;
  Path: string;
  Value?: string;
}

/** Puts what the extractor of its tag finds before what the page sees itself. */
export function learn(entry: Entry, elements: readonly WireElement[]): void {
  const found = elements
    .filter(({ Module, Value }) => Module === 'ax' && typeof Value === 'string')
    .map(({ Path, Value = '' }): Field => ({ name: Path, source: 'ax', value: Value, raw: Value }));
  if (found.length === 0) {
    return;
  }
  const names = new Set(found.map((field) => field.name));
  const seen = read(entry).filter((field) => field.source !== 'csv' && !names.has(field.name));
  known.set(entry, [...found, ...seen].slice(0, FIELDS_MAX));
}

export function fieldOf(entry: Entry, name: string): Field | undefined {
  return fieldsOf(entry).find((field) => field.name === name);
}

function read(entry: Entry): Field[] {
  const found: Field[] = entry.enumerated.map(({ name, value }) => ({
    name,
    source: 'value',
    value,
    raw: value,
  }));
  const text = textOf(entry.bytes.subarray(0, TEXT_CHARACTERS_MAX)).trim();
  const inside =
    jsonFields(text) ?? syslogFields(text) ?? formFields(text) ?? csvFields(text) ?? pairs(text);
  const taken = new Set(found.map((field) => field.name));
  for (const field of inside) {
    if (!taken.has(field.name)) {
      taken.add(field.name);
      found.push(field);
    }
  }
  return found.slice(0, FIELDS_MAX);
}

function jsonFields(text: string): Field[] | null {
  if (!text.startsWith('{')) {
    return null;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const found: Field[] = [];
  walk(value, [], found);
  return found;
}

function walk(value: unknown, path: string[], found: Field[]): void {
  if (found.length >= FIELDS_MAX || path.length > DEPTH_MAX) {
    return;
  }
  if (Array.isArray(value)) {
    value.slice(0, ELEMENTS_MAX).forEach((one, i) => walk(one, [...path, `[${i}]`], found));
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, one] of Object.entries(value)) {
      walk(one, [...path, key], found);
    }
  } else if (path.length > 0) {
    const plain = String(value);
    // The language compares a text as it stands between its quotes.
    const raw = typeof value === 'string' ? JSON.stringify(value).slice(1, -1) : plain;
    found.push({ name: pathOf(path), source: 'json', value: plain, raw });
  }
}

const RFC5424 =
  /^<(\d{1,3})>1 \S+ (\S+) (\S+) (\S+) (\S+) (-|(?:\[(?:[^\]\\"]|"(?:[^"\\]|\\.)*")*\])+)/;

function syslogFields(text: string): Field[] | null {
  const part = RFC5424.exec(text);
  if (!part) {
    return null;
  }
  const priority = Number(part[1]);
  const found: Field[] = [];
  const add = (name: string, value: string | undefined) => {
    if (value !== undefined && value !== '-') {
      found.push({ name, source: 'syslog', value, raw: value });
    }
  };
  add('Hostname', part[2]);
  add('Appname', part[3]);
  add('ProcID', part[4]);
  add('MsgID', part[5]);
  add('Severity', String(priority & 7));
  add('Facility', String(priority >> 3));
  for (const pair of (part[6] ?? '').matchAll(/ ([^\s="\]]+)="((?:[^"\\]|\\.)*)"/g)) {
    if (/^[\w-]+$/.test(pair[1] ?? '')) {
      add(pair[1] ?? '', (pair[2] ?? '').replace(/\\(["\\\]])/g, '$1'));
    }
  }
  return found;
}

function formFields(text: string): Field[] | null {
  const form = partsOf(text);
  if (!form) {
    return null;
  }
  const found = form.parts.map(({ name, value, expression }): Field => ({
    name,
    source: `regex \`${expression}\``,
    value,
    raw: value,
  }));
  return form.open ? [...found, ...pairs(text)] : found;
}

function csvFields(text: string): Field[] | null {
  const cells = cellsOf(text);
  return cells?.map((value, i) => ({ name: `[${i}]`, source: 'csv', value, raw: value })) ?? null;
}

const PAIR = /(?:^|[\s,;])([A-Za-z_][\w.-]*)=("(?:[^"\\]|\\.)*"|[^\s,;"]+)/g;

function pairs(text: string): Field[] {
  return [...text.matchAll(PAIR)].map(([, name = '', quoted = '']) => {
    const value = quoted.startsWith('"') ? quoted.slice(1, -1) : quoted;
    return { name: pathOf([name]), source: 'kv', value, raw: value };
  });
}

/* ---- all of them ---- */

export interface FieldSummary {
  name: string;
  source: FieldSource;
  /** How many of the entries have it. */
  count: number;
  /** How many different values; at most DISTINCT_MAX are told apart. */
  distinct: number;
  /** The most frequent first. */
  top: { value: string; raw: string; count: number }[];
}

export const DISTINCT_MAX = 1000;
export const TOP_VALUES = 10;

/** What these entries have, the most common fields first. */
export function survey(entries: readonly Entry[]): FieldSummary[] {
  const all = new Map<
    string,
    { source: FieldSource; count: number; values: Map<string, Field[]> }
  >();
  for (const entry of entries) {
    for (const field of fieldsOf(entry)) {
      let one = all.get(field.name);
      if (one === undefined) {
        one = { source: field.source, count: 0, values: new Map() };
        all.set(field.name, one);
      }
      one.count++;
      const same = one.values.get(field.value);
      if (same !== undefined) {
        same.push(field);
      } else if (one.values.size < DISTINCT_MAX) {
        one.values.set(field.value, [field]);
      }
    }
  }
  return [...all]
    .map(([name, { source, count, values }]) => ({
      name,
      source,
      count,
      distinct: values.size,
      top: [...values]
        .map(([value, same]) => ({ value, raw: same[0]?.raw ?? value, count: same.length }))
        .sort((a, b) => b.count - a.count)
        .slice(0, TOP_VALUES),
    }))
    .sort((a, b) => rank(a) - rank(b) || b.count - a.count || (a.name < b.name ? -1 : 1));
}

/** What the query itself took out comes first, then what somebody has given a name. */
function rank(field: FieldSummary): number {
  return field.source === 'value' ? 0 : field.source === 'ax' ? 1 : 2;
}
