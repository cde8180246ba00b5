import { describe, expect, it } from 'vitest';
import type { WireChart } from './chart';
import { withZeros } from './zeros';

const MINUTELY = 'tag=web json level | stats count by level over 1m | chart count by level';
const at = (clock: string, ...Data: (number | null)[]) => ({
  TS: `2026-05-04T${clock}.000Z`,
  Data,
});
const shown = (chart: WireChart) =>
  chart.Values.map(({ TS, Data }) => [TS.slice(11, 19), ...Data].join(' '));

describe('a bucket in which nothing was counted', () => {
  const Names = ['info', 'error'];

  it('is 0, also where no series has a row', () => {
    const chart = { Names, Values: [at('08:00:00', 5, null), at('08:03:00', null, 2)] };
    expect(shown(withZeros(chart, MINUTELY))).toEqual([
      '08:00:00 5 0',
      '08:01:00 0 0',
      '08:02:00 0 0',
      '08:03:00 0 2',
    ]);
  });

  it('is not known of a mean, whose windows without entries stay away', () => {
    const chart = { Names, Values: [at('08:00:00', 5, null), at('08:03:00', null, 2)] };
    for (const query of [
      'tag=web stats mean(ms) by level over 1m | chart mean by level',
      'tag=web stats min(ms) as count by level over 1m | chart count by level',
      'tag=web stats -b count by level over 1m | chart count by level',
      'tag=web stats count by level over 1m | eval count > 1 | chart count by level',
      'tag=web stats total(ms) by level over 1m | chart total by level',
      'tag=web json ms level | chart ms by level',
      'tag=web',
    ]) {
      expect(
        withZeros(chart, query).Values.flatMap(({ Data }) => Data),
        query,
      ).not.toContain(0);
    }
  });

  it('is 0 of the series that count, beside those that do not', () => {
    const chart = {
      Names: ['n web1', 'mean web1', 'n web2', 'mean web2'],
      Values: [at('08:00:00', 1, 2, null, null), at('08:02:00', null, null, 3, 4)],
    };
    const query =
      'tag=web stats count as n mean(ms) by host over 60s | sort by n | chart n mean by host';
    expect(withZeros(chart, query).Values.map(({ Data }) => Data)).toEqual([
      [1, 2, 0, null],
      [0, null, 0, null],
      [0, null, 3, 4],
    ]);
  });

  it('is there when the first window begins before the range', () => {
    const chart = { Names: ['count'], Values: [at('07:58:24', 1), at('08:01:00', 2)] };
    expect(shown(withZeros(chart, 'tag=web stats count over 1m | chart count'))).toEqual([
      '07:58:24 1',
      '07:59:00 0',
      '08:00:00 0',
      '08:01:00 2',
    ]);
  });

  it('is as wide as the server makes it', () => {
    const first = Date.parse('2026-05-04T08:00:00Z');
    const every = (seconds: number, ...numbers: number[]) => ({
      Names: ['count'],
      Values: numbers.map((n) => ({
        TS: new Date(first + n * seconds * 1000).toISOString(),
        Data: [1],
      })),
    });
    const buckets = (chart: WireChart, query: string) =>
      withZeros(chart, `tag=web ${query}`).Values.length;
    // 1,200 windows at most: of two seconds each, not one.
    expect(buckets(every(2, 0, 1, 900), 'stats count over 1s | chart count')).toBe(901);
    // Without `over` as narrow as 400 of them permit, in steps.
    expect(buckets(every(10, 0, 1, 2, 399), 'count | chart count')).toBe(400);
    expect(buckets(every(30, 0, 1, 2, 200), 'stats count | chart count')).toBe(201);
    // Windows that had to hold entries without a row, too: all of them are wider.
    const wide = every(600, 0, 1, 2, 3, 4, 5, 6);
    expect(buckets(wide, 'stats count by x | chart count by x')).toBe(7);
    // Single entries: a 300th of the time between the first and the last.
    expect(buckets(every(12, 0, 1, 300), 'chart')).toBe(301);
    expect(buckets(every(1, 0, 40), 'chart by level')).toBe(41);
  });

  it('tells whether neighbours may be added up', () => {
    const chart = { Names: ['n'], Values: [at('08:00:00', 5), at('08:03:00', 2)] };
    const adds = (query: string) => withZeros(chart, `tag=web ${query}`).adds;
    expect(adds('stats sum(ms) as n over 1m | chart n')).toBe(true);
    expect(adds('stats unique_count(ms) as n over 1m | chart n')).toBeUndefined();
    expect(adds('stats mean(ms) as n over 1m | chart n')).toBeUndefined();
    expect(adds('stats count as n over 7m | chart n')).toBeUndefined();
  });

  it('stays away when the times do not tell how wide it is', () => {
    const chart = { Names, Values: [at('08:00:00', 5, null), at('08:02:30', null, 2)] };
    expect(shown(withZeros(chart, MINUTELY))).toEqual(['08:00:00 5 0', '08:02:30 0 2']);
    expect(withZeros({ Names: [], Values: [] }, MINUTELY)).toMatchObject({ Names: [], Values: [] });
  });
});
