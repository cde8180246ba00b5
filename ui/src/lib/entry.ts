/*
 * An entry as it is shown. What arrives is bytes from anywhere: nothing in it is ever taken as
 * markup, and control characters, which could hide or reverse what is read, are made visible.
 */
import type { WireEntry, WirePage } from './types';

export interface Entry {
  ts: string;
  tag: string;
  source: string;
  bytes: Uint8Array;
  /** Decoded, control characters made visible, for one line. */
  line: string;
  enumerated: { name: string; value: string }[];
  /** The query asks for bytes. */
  hex?: boolean;
}

/** A row shows this much; the opened entry shows all of it. */
export const LINE_CHARACTERS_MAX = 2000;

export function entriesOf(page: Pick<WirePage, 'Tags' | 'Entries'>, renderer = ''): Entry[] {
  const names = new Map(Object.entries(page.Tags).map(([name, number]) => [number, name]));
  return page.Entries.map((wire) => entryOf(wire, names, renderer === 'hex'));
}

function entryOf(wire: WireEntry, names: Map<number, string>, hex: boolean): Entry {
  const bytes = bytesOf(wire.Data);
  const text = wire.Text ?? textOf(bytes.subarray(0, LINE_CHARACTERS_MAX * 4));
  return {
    ts: wire.TS,
    tag: names.get(wire.Tag) ?? `#${wire.Tag}`,
    source: wire.SRC,
    bytes,
    line: hex ? hexLineOf(bytes) : lineOf(text),
    hex,
    enumerated: (wire.Enumerated ?? []).map((ev) => ({ name: ev.Name, value: ev.ValueStr })),
  };
}

export function bytesOf(base64: string): Uint8Array {
  let binary: string;
  try {
    binary = atob(base64);
  } catch {
    return new Uint8Array();
  }
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) {
    bytes[i] = binary.charCodeAt(i);
  }
  return bytes;
}

const decoder = new TextDecoder('utf-8');

export function textOf(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/* Bidirectional overrides and isolates, zero-width characters, line and paragraph separators. */
const INVISIBLE = /[\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** One line: each control character becomes its picture (U+2400…), white space one space. */
export function lineOf(text: string): string {
  return visible(
    text
      .replace(/[\r\n]+$/, '')
      .replace(/\t/g, ' ')
      .replace(/\r?\n/g, ' ⏎ '),
  ).slice(0, LINE_CHARACTERS_MAX);
}

/** Many lines: as lineOf(), but new lines and tabs stay. */
export function visible(text: string): string {
  return text
    .replace(/[\u0000-\u0008\u000b-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/\u007f/g, '\u2421')
    .replace(/[\u0080-\u009f]/g, '\ufffd')
    .replace(INVISIBLE, (c) => `⟨U+${c.charCodeAt(0).toString(16).toUpperCase()}⟩`);
}

/** Pretty-printed, when the data is a JSON object or list; null otherwise. */
export function jsonOf(text: string): string | null {
  const trimmed = text.trim();
  if (!/^[[{]/.test(trimmed) || trimmed.length > 1_000_000) {
    return null;
  }
  try {
    return JSON.stringify(JSON.parse(trimmed), null, 2);
  } catch {
    return null;
  }
}

export const HEX_BYTES_MAX = 4096;

/** `00000000  48 65 6c 6c 6f …  Hello…`, sixteen bytes a line. */
export function hexOf(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < Math.min(bytes.length, HEX_BYTES_MAX); at += 16) {
    const row = [...bytes.subarray(at, at + 16)];
    const hex = row
      .map((b) => b.toString(16).padStart(2, '0'))
      .join(' ')
      .padEnd(47);
    const text = row.map((b) => (b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : '.')).join('');
    lines.push(`${at.toString(16).padStart(8, '0')}  ${hex}  ${text}`);
  }
  return lines.join('\n');
}

/** As the download has them, as many as a row shows. */
function hexLineOf(bytes: Uint8Array): string {
  const row = [...bytes.subarray(0, Math.floor(LINE_CHARACTERS_MAX / 3))];
  return row.map((b) => b.toString(16).padStart(2, '0').toUpperCase()).join(' ');
}

export const TAG_COLOURS = 8;

const colours = new Map<string, number>();

/**
 * The number of a tag's colour, the same everywhere on the page. It comes from the tag's name, so
 * it is mostly the same tomorrow, too; but while there are colours that no other tag has taken, no
 * two tags share one.
 */
export function colourOf(tag: string): number {
  const known = colours.get(tag);
  if (known !== undefined) {
    return known;
  }
  let hash = 2166136261;
  for (let i = 0; i < tag.length; i++) {
    hash = Math.imul(hash ^ tag.charCodeAt(i), 16777619);
  }
  let colour = (hash >>> 0) % TAG_COLOURS;
  const taken = new Set(colours.values());
  while (taken.size < TAG_COLOURS && taken.has(colour)) {
    colour = (colour + 1) % TAG_COLOURS;
  }
  colours.set(tag, colour);
  return colour;
}
