import { describe, expect, it } from 'vitest';
import {
  barsFor,
  bars,
  bucketsFor,
  closer,
  countText,
  niceMax,
  occupied,
  progressOf,
  rounded,
  ticks,
} from './histogram';
import { DAY, HOUR, MINUTE, SECOND } from './time';

const FROM = Date.UTC(2026, 4, 4, 8);
const at = (ms: number, Count = 1) => ({ TS: new Date(FROM + ms).toISOString(), Count, Bytes: 0 });

describe('the histogram', () => {
  it('loses no entry that is in the range and counts none outside it', () => {
    const buckets = [
      at(-1, 100),
      at(0),
      at(MINUTE - 1, 2),
      at(30 * MINUTE, 4),
      at(HOUR - 1, 8),
      at(HOUR, 100),
    ];
    const all = bars(buckets, FROM, FROM + HOUR, 60);
    expect(all.reduce((sum, bar) => sum + bar.count, 0)).toBe(15);
    expect(all[0]?.count).toBe(3);
    expect(all[59]?.count).toBe(8);
  });

  it('draws bars of equally many slices', () => {
    for (const widthPx of [50, 333, 1200, 4000]) {
      expect(bucketsFor(FROM, FROM + HOUR) % barsFor(widthPx, FROM, FROM + HOUR).count).toBe(0);
    }
    expect(barsFor(1200, FROM, FROM + 5 * SECOND).count).toBe(5);
    expect(barsFor(0, FROM, FROM).count).toBe(1);
    // 181 slices of 62 seconds: two to a bar, and the last bar ends behind the range.
    const to = FROM + 181 * 62 * SECOND;
    expect(bucketsFor(FROM, to)).toBe(181);
    expect(barsFor(1222, FROM, to)).toEqual({ count: 91, to: to + 62 * SECOND });
    expect(barsFor(1300, FROM, to)).toEqual({ count: 181, to });
  });

  it('finds the part of a long range that holds anything', () => {
    const all = bars([at(30 * MINUTE), at(31 * MINUTE)], FROM, FROM + HOUR, 60);
    expect(occupied(all)).toEqual({ from: FROM + 29 * MINUTE, to: FROM + 33 * MINUTE });
    expect(occupied(bars([], FROM, FROM + HOUR, 60))).toBeNull();
  });

  it('never looks closer past an entry, whenever that is and whenever it is asked', () => {
    let looked = 0;
    for (let i = 0; i < 400; i++) {
      const now = FROM + i * 86_411 * SECOND;
      const entry = now - SECOND - ((i * 7919) % 20_000) * DAY - (i % 86_400) * SECOND;
      let range = { from: -DAY, to: now };
      for (let round = 0; round < 6; round++) {
        const width = (range.to - range.from) / bucketsFor(range.from, range.to);
        const slice = Math.floor((entry - range.from) / width);
        const TS = new Date(range.from + slice * width).toISOString();
        const part = closer([{ TS, Count: 1, Bytes: 1 }], range.from, range.to);
        looked += part === null ? 0 : 1;
        range = part ?? range;
        expect(range.from, `${i}, round ${round}`).toBeLessThanOrEqual(entry);
        expect(range.to, `${i}, round ${round}`).toBeGreaterThan(entry);
      }
    }
    expect(looked).toBeGreaterThan(1000);
  });

  it('begins and ends at round times where it looks closer', () => {
    const part = { from: FROM + 7 * MINUTE + 46 * SECOND, to: FROM + 93 * HOUR + 8 * MINUTE };
    expect(rounded(part)).toEqual({ from: FROM, to: FROM + 94 * HOUR });
    expect(rounded({ from: FROM + SECOND, to: FROM + 90 * SECOND })).toEqual({
      from: FROM + SECOND,
      to: FROM + 90 * SECOND,
    });
  });

  it('has a round top that no bar exceeds', () => {
    for (const most of [1, 2, 3, 7, 11, 99, 101, 12345, 1e9]) {
      expect(niceMax(most)).toBeGreaterThanOrEqual(most);
      expect(niceMax(most)).toBeLessThanOrEqual(Math.max(1, most * 1.6));
    }
    expect(niceMax(0)).toBe(1);
  });

  it('marks few, ordered times inside the range, from seconds to decades', () => {
    for (const length of [SECOND, MINUTE, HOUR, DAY, 30 * DAY, 400 * DAY, 20_000 * DAY]) {
      const marks = ticks(FROM - length, FROM, 8);
      expect(marks.length).toBeLessThanOrEqual(9);
      expect(
        marks.every(
          (m, i) =>
            m.at >= FROM - length && m.at <= FROM && (i === 0 || m.at > (marks[i - 1]?.at ?? 0)),
        ),
      ).toBe(true);
    }
  });

  it('writes counts short', () => {
    expect([0, 999, 1234, 12_345, 500_000, 1_200_000, 3e9].map(countText)).toEqual([
      '0',
      '999',
      '1,234',
      '12.3k',
      '500k',
      '1.2M',
      '3G',
    ]);
  });

  it('shows how far a search has come, from the end of its range backwards', () => {
    expect(progressOf(new Date(FROM + 45 * MINUTE).toISOString(), FROM, FROM + HOUR)).toBe(0.25);
    expect(progressOf(new Date(FROM - DAY).toISOString(), FROM, FROM + HOUR)).toBe(1);
    expect(progressOf('0001-01-01T00:00:00Z', FROM, FROM + HOUR)).toBe(0);
    expect(progressOf(undefined, FROM, FROM + HOUR)).toBe(0);
  });
});

describe('slices of time', () => {
  it('are whole seconds when that is possible, so that even traffic looks even', () => {
    for (const seconds of [60, 416, 900, 3600, 6 * 3600, 86_400, 7 * 86_400]) {
      const slices = bucketsFor(0, seconds * 1000);
      expect(seconds % slices, `${seconds} s`).toBe(0);
      const drawn = barsFor(1220, 0, seconds * 1000).count;
      expect(slices % drawn, `${seconds} s`).toBe(0);
      expect(drawn).toBeGreaterThan(50);
    }
    expect(bucketsFor(0, DAY)).toBe(144); /* of ten minutes, not of six */
    expect(bucketsFor(0, 94 * HOUR)).toBe(188); /* of half an hour */
    expect(bucketsFor(0, 7919 * 1000)).toBe(240);
    expect(bucketsFor(0, 500)).toBe(1);
  });
});
