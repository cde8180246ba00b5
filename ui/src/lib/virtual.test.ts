import { describe, expect, it } from 'vitest';
import {
  forgotten,
  listPx,
  PAGE_ROWS,
  pagesOf,
  rowAt,
  rowTopPx,
  SCROLL_PX_MAX,
  scrollTopFor,
  scrollTopToShow,
  view,
  type VirtualList,
} from './virtual';

function listOf(count: number, opened: [number, number][] = []): VirtualList {
  return { count, rowPx: 27, extraPx: new Map(opened), viewPx: 500 };
}

describe('the windowed list', () => {
  it('draws what covers the view and no more than a few rows around it', () => {
    const list = listOf(1000);
    for (let scrollTop = 0; scrollTop <= listPx(list) - list.viewPx; scrollTop += 13) {
      const shown = view(list, scrollTop, 3);
      expect(rowTopPx(list, shown.first)).toBeLessThanOrEqual(scrollTop);
      expect(rowTopPx(list, shown.last - 1) + list.rowPx).toBeGreaterThanOrEqual(
        scrollTop + list.viewPx,
      );
      expect(shown.last - shown.first).toBeLessThan(30);
      expect(shown.topPx).toBeCloseTo(rowTopPx(list, shown.first));
    }
  });

  it('finds each row again by its own top, opened rows among them', () => {
    const list = listOf(200, [
      [7, 310],
      [8, 100],
      [150, 42],
    ]);
    for (let row = 0; row < list.count; row++) {
      expect(rowAt(list, rowTopPx(list, row))).toBe(row);
      expect(rowAt(list, rowTopPx(list, row) + list.rowPx - 1)).toBe(row);
    }
    expect(rowAt(list, rowTopPx(list, 7) + 300)).toBe(7);
  });

  it('does not care in which order rows were opened', () => {
    const one = listOf(50, [
      [3, 100],
      [9, 200],
    ]);
    const other = listOf(50, [
      [9, 200],
      [3, 100],
    ]);
    for (let px = 0; px < listPx(one); px += 5) {
      expect(rowAt(one, px)).toBe(rowAt(other, px));
    }
  });

  it('squeezes a list that no browser could lay out, and still reaches its end', () => {
    const list = listOf(5_000_000);
    const end = view(list, SCROLL_PX_MAX - list.viewPx, 0);
    expect(end.scrollPx).toBe(SCROLL_PX_MAX);
    expect(end.last).toBe(list.count);
    const lastBottom = end.topPx + (end.last - end.first) * list.rowPx;
    expect(lastBottom).toBeCloseTo(SCROLL_PX_MAX, 3);
    expect(view(list, 0, 0).first).toBe(0);
  });

  it('scrolls to any row, squeezed or not', () => {
    for (const list of [listOf(1000), listOf(5_000_000)]) {
      for (const row of [0, 1, 500, list.count - 100]) {
        const shown = view(list, scrollTopFor(list, row), 0);
        expect(Math.abs(shown.first - row)).toBeLessThanOrEqual(1);
      }
    }
  });

  it('moves only as far as needed to show a row, and not at all when it is in view', () => {
    const list = listOf(1000);
    expect(scrollTopToShow(list, 0, 3)).toBeNull();
    expect(scrollTopToShow(list, 270, 3)).toBe(81);
    expect(scrollTopToShow(list, 0, 100)).toBe(101 * 27 - 500);
  });

  it('is calm when it is empty or shorter than the view', () => {
    expect(view(listOf(0), 0, 5)).toMatchObject({ first: 0, last: 0, scrollPx: 0 });
    expect(view(listOf(3), 0, 5)).toMatchObject({ first: 0, last: 3, topPx: 0 });
    expect(view(listOf(3), 9999, 5)).toMatchObject({ first: 0, last: 3 });
  });

  it('asks for each page once', () => {
    expect(pagesOf(0, 1)).toEqual([0]);
    expect(pagesOf(PAGE_ROWS - 1, PAGE_ROWS + 1)).toEqual([0, 1]);
    expect(pagesOf(0, 0)).toEqual([]);
  });
});

describe('pages that are forgotten', () => {
  it('are the oldest, but never the first rows: they say what fields there are', () => {
    const arrived = Array.from({ length: 80 }, (_, i) => (i + 40) % 80);
    const gone = forgotten(arrived);
    expect(gone).toEqual(arrived.slice(0, 20));
    expect(forgotten(arrived.filter((page) => !gone.includes(page)))).toEqual([]);
    expect(forgotten(Array.from({ length: 70 }, (_, i) => i))).toEqual(
      Array.from({ length: 10 }, (_, i) => i + 3),
    );
  });
});
