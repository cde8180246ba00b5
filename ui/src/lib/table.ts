/*
 * The arithmetic of a table: how wide its columns are, which of them are in view, and how its rows
 * are sorted. Knows no document.
 */
import type { WireTable } from './types';

export const WIDTH_PX_MIN = 48;
const WIDTH_PX_FIRST_MAX = 420;
const CHARACTER_PX = 8.6;
/** Digits are all as wide as the widest. */
const DIGIT_PX = 9.7;
const PADDING_PX = 34;
/** So many rows decide how wide the columns begin. */
const ROWS_LOOKED_AT = 100;
const NUMBER = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i;

export type TableRow = WireTable['Rows'][number];

export interface Sorting {
  column: number;
  descending: boolean;
}

export function isNumber(cell: string): boolean {
  return NUMBER.test(cell);
}

/** Wide enough for what the first rows hold, within bounds. */
export function widthsOf(columns: readonly string[], rows: readonly TableRow[]): number[] {
  return columns.map((name, i) => {
    let longest = (name.length + 2) * CHARACTER_PX;
    for (const row of rows.slice(0, ROWS_LOOKED_AT)) {
      const cell = row.Row[i] ?? '';
      longest = Math.max(longest, cell.length * (isNumber(cell) ? DIGIT_PX : CHARACTER_PX));
    }
    const px = Math.round(longest + PADDING_PX);
    return Math.min(WIDTH_PX_FIRST_MAX, Math.max(WIDTH_PX_MIN, px));
  });
}

export interface Cell {
  row: number;
  column: number;
}

/** Where a key leads from a cell; null: the key is not about cells. `page` is in rows. */
export function cellAfter(
  key: string,
  at: Cell,
  size: { rows: number; columns: number; page: number },
): Cell | null {
  const steps: Record<string, Cell> = {
    ArrowUp: { row: at.row - 1, column: at.column },
    ArrowDown: { row: at.row + 1, column: at.column },
    ArrowLeft: { row: at.row, column: at.column - 1 },
    ArrowRight: { row: at.row, column: at.column + 1 },
    PageUp: { row: at.row - size.page, column: at.column },
    PageDown: { row: at.row + size.page, column: at.column },
    Home: { row: at.row, column: 0 },
    End: { row: at.row, column: size.columns - 1 },
  };
  const to = Object.hasOwn(steps, key) ? steps[key] : undefined;
  return to === undefined || size.rows === 0 || size.columns === 0
    ? null
    : {
        row: Math.min(size.rows - 1, Math.max(0, to.row)),
        column: Math.min(size.columns - 1, Math.max(0, to.column)),
      };
}

export interface ColumnsView {
  /** First column to draw, and the one after the last. */
  first: number;
  last: number;
  /** Where the first drawn column begins. */
  leftPx: number;
  wholePx: number;
}

export function columnsInView(
  widths: readonly number[],
  left: number,
  viewPx: number,
): ColumnsView {
  const view: ColumnsView = { first: 0, last: widths.length, leftPx: 0, wholePx: 0 };
  let begun = false;
  let ended = false;
  widths.forEach((px, i) => {
    const end = view.wholePx + px;
    if (!begun && (end > left || i === widths.length - 1)) {
      begun = true;
      view.first = i;
      view.leftPx = view.wholePx;
    }
    if (begun && !ended && end >= left + viewPx) {
      ended = true;
      view.last = i + 1;
    }
    view.wholePx = end;
  });
  return view;
}

/**
 * The rows' numbers in the order wished: numbers before text, by their value; text as people sort
 * it; nothing at all last, whichever way. Equal rows keep their order.
 */
export function sorted(rows: readonly TableRow[], { column, descending }: Sorting): number[] {
  const cells = rows.map((row) => row.Row[column] ?? '');
  const values = cells.map((cell) => (isNumber(cell) ? Number(cell) : NaN));
  const collator = new Intl.Collator(undefined, { numeric: true });
  const way = descending ? -1 : 1;
  const rank = (i: number) => (cells[i] === '' ? 2 : Number.isNaN(values[i]) ? 1 : 0);
  return cells
    .map((_, i) => i)
    .sort((a, b) => {
      const [left, right] = [rank(a), rank(b)];
      if (left !== right) {
        return left === 2 || right === 2 ? left - right : (left - right) * way;
      }
      const order =
        left === 0
          ? (values[a] ?? 0) - (values[b] ?? 0)
          : collator.compare(cells[a] ?? '', cells[b] ?? '');
      return order * way || a - b;
    });
}
