import { describe, expect, it } from 'vitest';
import {
  arranged,
  cellsOf,
  COLUMNS,
  exchanged,
  firstFree,
  fitted,
  pixelsOf,
  readingOrder,
  stepped,
  withSpan,
  type Placed,
} from './dashboard-grid';

const tile = (id: number, x: number, y: number, w: number, h: number): Placed => ({
  id,
  span: { x, y, w, h },
});

function overlapping(tiles: Placed[]): boolean {
  const seen = new Set<string>();
  return tiles.some(({ span }) => {
    for (let x = span.x; x < span.x + span.w; x++) {
      for (let y = span.y; y < span.y + span.h; y++) {
        if (seen.has(`${x} ${y}`) || x >= COLUMNS) {
          return true;
        }
        seen.add(`${x} ${y}`);
      }
    }
    return false;
  });
}

describe('the grid', () => {
  it('never lets tiles overlap or leave it, whatever was wished', () => {
    let seed = 7;
    const random = (below: number) => (seed = (seed * 48271) % 2147483647) % below;
    for (let round = 0; round < 200; round++) {
      const tiles = Array.from({ length: 12 }, (_, id) =>
        tile(id, random(16) - 2, random(30) - 3, random(15), random(9)),
      );
      const result = arranged(tiles, random(12));
      expect(overlapping(result), `round ${round}`).toBe(false);
      expect(result.map((one) => one.id)).toEqual(tiles.map((one) => one.id));
      expect(arranged(result)).toEqual(result);
    }
  });

  it('bears spans that are no numbers', () => {
    expect(fitted({ x: NaN, y: -4, w: Infinity, h: 1e9 })).toEqual({ x: 0, y: 0, w: 2, h: 60 });
  });

  it('lets the tile that is moved push others down and fills the hole it leaves', () => {
    const tiles = [tile(1, 0, 0, 6, 4), tile(2, 6, 0, 6, 4), tile(3, 0, 4, 12, 4)];
    const moved = withSpan(tiles, 1, { x: 6, y: 0, w: 6, h: 4 });
    expect(moved.map((one) => one.span)).toEqual([
      { x: 6, y: 0, w: 6, h: 4 },
      { x: 6, y: 4, w: 6, h: 4 },
      { x: 0, y: 8, w: 12, h: 4 },
    ]);
    expect(moved.map((one) => one.id)).toEqual([1, 2, 3]);
  });

  it('swaps with the tile above', () => {
    const tiles = [tile(1, 0, 0, 12, 4), tile(2, 0, 4, 12, 4)];
    const moved = withSpan(tiles, 2, { x: 0, y: 0, w: 12, h: 4 });
    expect(moved.map((one) => one.span.y)).toEqual([4, 0]);
  });

  it('finds the first hole that is large enough', () => {
    const taken = [tile(1, 0, 0, 6, 4), tile(2, 0, 4, 12, 4)].map((one) => one.span);
    expect(firstFree(taken, { w: 6, h: 4 })).toEqual({ x: 6, y: 0, w: 6, h: 4 });
    expect(firstFree(taken, { w: 6, h: 5 })).toEqual({ x: 0, y: 8, w: 6, h: 5 });
    expect(firstFree([], { w: 6, h: 5 })).toEqual({ x: 0, y: 0, w: 6, h: 5 });
  });

  it('is read line by line', () => {
    const tiles = [tile(1, 6, 0, 6, 4), tile(2, 0, 4, 6, 4), tile(3, 0, 0, 6, 4)];
    expect(readingOrder(tiles).map((one) => one.id)).toEqual([3, 1, 2]);
  });

  it('knows pixels from cells and back', () => {
    const at = pixelsOf({ x: 3, y: 2, w: 4, h: 5 }, 1188);
    expect(at).toEqual({ x: 300, y: 96, w: 388, h: 228 });
    expect(cellsOf(at.x, at.y, 1188)).toEqual({ x: 3, y: 2 });
  });

  it('lets neighbours in reading order change places, for screens of one column', () => {
    const tiles = [tile(1, 0, 0, 6, 4), tile(2, 6, 0, 6, 4), tile(3, 0, 4, 12, 5)];
    const ids = (list: Placed[]) => readingOrder(list).map((one) => one.id);
    expect(ids(exchanged(tiles, 3, -1))).toEqual([1, 3, 2]);
    expect(ids(exchanged(tiles, 1, 1))).toEqual([2, 1, 3]);
    expect(exchanged(tiles, 1, -1)).toEqual(tiles);
    expect(overlapping(exchanged(tiles, 3, -1))).toBe(false);
  });

  it('swaps with the tile below once it is dragged past its middle', () => {
    const tiles = [tile(1, 0, 0, 12, 4), tile(2, 0, 4, 12, 4)];
    const dragged = (y: number) => withSpan(tiles, 1, { x: 0, y, w: 12, h: 4 })[0]?.span.y;
    expect([1, 5, 6, 30].map(dragged)).toEqual([0, 0, 4, 4]);
  });

  it('moves and resizes by keys and stays inside', () => {
    const tiles = [tile(1, 8, 0, 4, 4), tile(2, 8, 4, 4, 4)];
    const after = (key: string, resize: boolean) => stepped(tiles, 1, key, resize)?.[0]?.span;
    expect(after('ArrowLeft', false)).toEqual({ x: 7, y: 0, w: 4, h: 4 });
    expect(after('ArrowRight', false)).toEqual(tiles[0]?.span);
    expect(after('ArrowRight', true)).toEqual(tiles[0]?.span);
    expect(after('ArrowDown', true)).toEqual({ x: 8, y: 0, w: 4, h: 5 });
    expect(after('ArrowUp', false)).toEqual(tiles[0]?.span);
    expect(after('ArrowDown', false)).toEqual({ x: 8, y: 4, w: 4, h: 4 });
    expect(stepped(tiles, 2, 'ArrowUp', false)?.map((one) => one.span.y)).toEqual([4, 0]);
    expect(stepped(tiles, 1, 'Enter', false)).toBeNull();
    expect(stepped(tiles, 9, 'ArrowUp', false)).toBeNull();
  });
});
