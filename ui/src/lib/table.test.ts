import { describe, expect, it } from 'vitest';
import { cellAfter, columnsInView, sorted, widthsOf, WIDTH_PX_MIN } from './table';

const rows = (...cells: string[]) => cells.map((cell) => ({ TS: '', Row: [cell] }));

describe('the order of a table', () => {
  const mixed = rows('10', 'beta', '9', '', 'Alpha', '-1.5');
  const order = (descending: boolean) =>
    sorted(mixed, { column: 0, descending }).map((i) => mixed[i]?.Row[0]);

  it('is by value for numbers, which come before text; nothing comes last', () => {
    expect(order(false)).toEqual(['-1.5', '9', '10', 'Alpha', 'beta', '']);
  });

  it('turns round, and nothing still comes last', () => {
    expect(order(true)).toEqual(['beta', 'Alpha', '10', '9', '-1.5', '']);
  });

  it('keeps equal rows as they were', () => {
    expect(sorted(rows('1', '0', '1'), { column: 0, descending: true })).toEqual([0, 2, 1]);
  });
});

describe('the columns', () => {
  it('are as wide as what they hold, within bounds', () => {
    const [narrow, wide] = widthsOf(['a', 'b'], [{ TS: '', Row: ['1', 'x'.repeat(500)] }]);
    expect(narrow).toBeGreaterThanOrEqual(WIDTH_PX_MIN);
    expect(wide).toBe(420);
  });

  it('are drawn only where they are in view', () => {
    const widths = Array.from({ length: 200 }, () => 100);
    expect(columnsInView(widths, 0, 250)).toEqual({ first: 0, last: 3, leftPx: 0, wholePx: 20000 });
    expect(columnsInView(widths, 19_750, 250)).toMatchObject({
      first: 197,
      last: 200,
      leftPx: 19_700,
    });
  });

  it('are none where there are none', () => {
    expect(columnsInView([], 0, 250)).toEqual({ first: 0, last: 0, leftPx: 0, wholePx: 0 });
  });
});

describe('walking over cells', () => {
  const size = { rows: 100, columns: 3, page: 20 };

  it('stays inside the table', () => {
    const at = { row: 0, column: 2 };
    expect(cellAfter('ArrowUp', at, size)).toEqual(at);
    expect(cellAfter('ArrowRight', at, size)).toEqual(at);
    expect(cellAfter('ArrowDown', at, size)).toEqual({ row: 1, column: 2 });
    expect(cellAfter('Home', at, size)).toEqual({ row: 0, column: 0 });
    expect(cellAfter('PageDown', { row: 95, column: 0 }, size)).toEqual({ row: 99, column: 0 });
  });

  it('leaves other keys to others', () => {
    expect(cellAfter('Tab', { row: 0, column: 0 }, size)).toBeNull();
    expect(cellAfter('constructor', { row: 0, column: 0 }, size)).toBeNull();
    expect(
      cellAfter('ArrowUp', { row: 0, column: 0 }, { rows: 0, columns: 0, page: 1 }),
    ).toBeNull();
  });
});
