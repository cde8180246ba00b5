/*
 * Resources: how they are shown. CSV and JSON become tables; anything else is text, or only its
 * size. Whatever is in a file, this makes strings of it.
 */

import type { Shared } from './sharing';

export interface Resource extends Shared {
  GUID: string;
  ResourceName: string;
  Description: string;
  Size: number;
  VersionNumber: number;
  LastModified: string;
}

export type Preview =
  | { kind: 'table'; columns: string[]; rows: string[][]; more: boolean }
  | { kind: 'text'; text: string; more: boolean }
  | { kind: 'binary' }
  | { kind: 'empty' };

export const PREVIEW_ROWS = 200;
const PREVIEW_COLUMNS = 100;
const TEXT_CHARACTERS = 20_000;

/** RFC 4180: quotes double themselves, a quoted field may hold line ends. */
export function csvRows(text: string, most: number): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let field = '';
  let quoted = false;
  for (let i = 0; i < text.length && rows.length < most; i++) {
    const c = text.charAt(i);
    if (quoted) {
      if (c === '"' && text.charAt(i + 1) === '"') {
        field += '"';
        i++;
      } else if (c === '"') {
        quoted = false;
      } else {
        field += c;
      }
    } else if (c === '"' && field === '') {
      quoted = true;
    } else if (c === ',') {
      row.push(field);
      field = '';
    } else if (c === '\n') {
      row.push(field.replace(/\r$/, ''));
      rows.push(row);
      row = [];
      field = '';
    } else {
      field += c;
    }
  }
  if (rows.length < most && (field !== '' || row.length > 0)) {
    rows.push([...row, field]);
  }
  return rows;
}

function cell(value: unknown): string {
  return typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value);
}

/** A list of objects has a column per member; a list of lists is rows; an object is its members. */
function jsonTable(value: unknown): Preview | null {
  if (typeof value !== 'object' || value === null) {
    return null;
  }
  if (!Array.isArray(value)) {
    const rows = Object.entries(value).map(([name, of]) => [name, cell(of)]);
    const more = rows.length > PREVIEW_ROWS;
    return { kind: 'table', columns: ['Name', 'Value'], rows: rows.slice(0, PREVIEW_ROWS), more };
  }
  const shown = value.slice(0, PREVIEW_ROWS) as unknown[];
  const more = value.length > PREVIEW_ROWS;
  if (shown.every((item) => typeof item === 'object' && item !== null && !Array.isArray(item))) {
    const objects = shown as Record<string, unknown>[];
    const columns = [...new Set(objects.flatMap(Object.keys))].slice(0, PREVIEW_COLUMNS);
    const rows = objects.map((item) => columns.map((name) => cell(item[name])));
    return { kind: 'table', columns, rows, more };
  }
  const rows = shown.map((item) =>
    (Array.isArray(item) ? (item as unknown[]) : [item]).slice(0, PREVIEW_COLUMNS).map(cell),
  );
  const width = Math.max(1, ...rows.map((row) => row.length));
  const columns = Array.from({ length: width }, (_, i) => String(i + 1));
  return { kind: 'table', columns, rows, more };
}

/** Of the first bytes of a file; `whole` when there are no others. */
export function previewOf(bytes: Uint8Array, whole: boolean): Preview {
  if (bytes.length === 0) {
    return { kind: 'empty' };
  }
  if (bytes.includes(0)) {
    return { kind: 'binary' };
  }
  const text = new TextDecoder().decode(bytes);
  if (whole && /^\s*[[{]/.test(text)) {
    try {
      const table = jsonTable(JSON.parse(text));
      if (table) {
        return table;
      }
    } catch {
      /* text, then */
    }
  }
  const all = csvRows(text, PREVIEW_ROWS + 2);
  const rows = whole || all.length > PREVIEW_ROWS + 1 ? all : all.slice(0, -1);
  const width = rows[0]?.length ?? 0;
  if (rows.length > 1 && width > 1 && rows.every((row) => row.length === width)) {
    return {
      kind: 'table',
      columns: (rows[0] ?? []).slice(0, PREVIEW_COLUMNS),
      rows: rows.slice(1, PREVIEW_ROWS + 1).map((row) => row.slice(0, PREVIEW_COLUMNS)),
      more: !whole || rows.length > PREVIEW_ROWS + 1,
    };
  }
  const more = !whole || text.length > TEXT_CHARACTERS;
  return { kind: 'text', text: text.slice(0, TEXT_CHARACTERS), more };
}
