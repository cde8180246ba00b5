import { describe, expect, it } from 'vitest';
import { betterShown, condensedAtEnd, stagesOf } from './condensed';

const condensed = (query: string) => condensedAtEnd(stagesOf(query));

describe('what a query condenses into', () => {
  it('is read from stats and its kin', () => {
    expect(condensed('tag=web json ms | stats count mean(ms) as "m" by host path over 5m')).toEqual(
      {
        results: [
          { op: 'count', name: 'count' },
          { op: 'mean', name: 'm' },
        ],
        keys: ['host', 'path'],
        over: '5m',
        ofEntries: false,
      },
    );
    expect(
      condensed('tag=web stats -maxtracked 9 -b max(ms) by host, count by path | sort by x'),
    ).toEqual({
      results: [
        { op: 'max', name: 'max' },
        { op: 'count', name: 'count' },
      ],
      keys: ['host', 'path'],
      over: null,
      ofEntries: true,
    });
    expect(condensed('tag=web sum ms by host over 1h')).toMatchObject({
      results: [{ op: 'sum', name: 'sum' }],
      keys: ['host'],
      over: '1h',
    });
    expect(condensed('tag=web count')).toMatchObject({ results: [{ name: 'count' }], keys: [] });
    expect(condensed('tag=web stats count | grep 5')).toBeNull();
    expect(condensed('tag=stats grep "| count"')).toBeNull();
    expect(condensed('')).toBeNull();
  });

  it('is better shown as a table, or as a chart', () => {
    expect(betterShown('tag=web json a | count by a')).toEqual({
      table: 'tag=web json a | count by a | table',
      chart: 'tag=web json a | count by a | chart count by a',
    });
    expect(betterShown('tag=web stats mean(ms) as m count | sort by m desc | limit 5')).toEqual({
      table: 'tag=web stats mean(ms) as m count | sort by m desc | limit 5 | table',
      chart: 'tag=web stats mean(ms) as m count | sort by m desc | limit 5 | chart m count',
    });
    expect(betterShown('tag=web count by a // why')?.table).toBe(
      'tag=web count by a // why\n| table',
    );
    expect(betterShown('tag=web count by "a b"')?.chart).toBeNull();
    expect(betterShown('tag=web count by a | text')).toBeNull();
    expect(betterShown('tag=web grep a')).toBeNull();
  });
});
