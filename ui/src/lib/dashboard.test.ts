import { describe, expect, it } from 'vitest';
import { addedTo, rangeOf, tilesOf } from './dashboard';
import type { DashboardData } from './types';

describe('a dashboard', () => {
  it('shows what was added, in order', () => {
    let data = addedTo({}, 'Errors', 'tag=web grep error', { kind: 'all' });
    data = addedTo(data, 'All', 'tag=*', { kind: 'last', ms: 1000 });
    expect(tilesOf(data)).toEqual([
      { title: 'Errors', query: 'tag=web grep error' },
      { title: 'All', query: 'tag=*' },
    ]);
    expect(rangeOf(data)).toEqual({ kind: 'all' });
    expect(new Set(data.tiles?.map((tile) => tile.id)).size).toBe(2);
  });

  it('keeps what another front end put into it', () => {
    const other = {
      grid: { columns: 12 },
      linkZooming: true,
      searches: [{ alias: 'a', query: 'tag=a', searchID: 7 }],
    };
    const data = addedTo(other as DashboardData, 'b', 'tag=b', { kind: 'all' }) as Record<
      string,
      unknown
    >;
    expect(data).toMatchObject({ grid: { columns: 12 }, linkZooming: true });
    expect((data['searches'] as unknown[])[0]).toEqual(other.searches[0]);
  });

  it('bears data of any shape', () => {
    const odd = [
      null,
      undefined,
      {},
      { searches: 5 },
      { tiles: [null] },
      { tiles: [{}], searches: [null] },
      [],
    ];
    for (const data of odd) {
      expect(tilesOf(data as DashboardData)).toEqual([]);
      expect(rangeOf(data as DashboardData).kind).toBe('last');
    }
  });
});
