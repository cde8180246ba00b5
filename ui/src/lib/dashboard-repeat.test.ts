import { describe, expect, it } from 'vitest';
import { newTile, readBoard, withTile, writeBoard, type Tile } from './dashboard';
import { COPIES_MAX, originalOf, repeated } from './dashboard-repeat';
import { newVariable, oneOf } from './dashboard-variables';

const host = { ...newVariable('host'), kind: 'list' as const, multi: true };
const empty = readBoard(null);
const tile: Tile = {
  ...newTile(empty, 'Load', 'tag=a eval host == $host'),
  repeat: 'host',
  span: { x: 0, y: 0, w: 4, h: 5 },
};
const below: Tile = {
  ...newTile(empty, 'Of $host', 'x'),
  id: 9,
  span: { x: 0, y: 5, w: 12, h: 4 },
};
const each = (...values: string[]) => repeated([tile, below], [host], { host: oneOf(values) });

describe('a tile for each value', () => {
  it('is there once for each, side by side, and pushes down what is below', () => {
    const all = each('a', 'b', 'c', 'd');
    expect(all.map((one) => one.title)).toEqual([
      'Load: a',
      'Load: b',
      'Load: c',
      'Load: d',
      'Of a, b, c, d',
    ]);
    expect(all.map((one) => [one.span.x, one.span.y])).toEqual([
      [0, 0],
      [4, 0],
      [8, 0],
      [0, 5],
      [0, 10],
    ]);
    expect(all.map((one) => one.values['host'])).toEqual(['a', 'b', 'c', 'd', 'a\nb\nc\nd']);
    expect(new Set(all.map((one) => one.id)).size).toBe(5);
  });

  it('keeps its number and its name when there is one value, or none', () => {
    expect(each('a')[0]).toMatchObject({ id: tile.id, title: 'Load', values: { host: 'a' } });
    expect(each()).toHaveLength(2);
    expect(repeated([{ ...tile, repeat: 'gone' }], [host], { host: 'a\nb' })).toHaveLength(1);
  });

  it('is edited as the one that is stored, and there are not too many', () => {
    const all = each(...Array.from({ length: 100 }, (_, i) => `h${i}`));
    expect(all).toHaveLength(COPIES_MAX + 1);
    expect(all.slice(0, COPIES_MAX).every((one) => originalOf(one) === tile)).toBe(true);
    expect(originalOf(tile)).toBe(tile);
  });

  it('is stored with the dashboard', () => {
    const stored = writeBoard(withTile(empty, tile));
    expect(readBoard(stored).tiles[0]).toMatchObject({ repeat: 'host', rest: {} });
  });
});
