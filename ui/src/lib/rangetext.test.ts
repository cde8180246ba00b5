import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { rangeOfWords } from './rangetext';
import { DAY, HOUR, MINUTE, SECOND } from './time';
import { LOCAL, setTimeZone } from './zone';

const NOW = Date.UTC(2026, 4, 6, 9, 30, 0); // a Wednesday

function absolute(words: string): [string, string] | null {
  const range = rangeOfWords(words, NOW);
  return range?.kind === 'absolute'
    ? [new Date(range.from).toISOString(), new Date(range.to).toISOString()]
    : null;
}

describe('a range in words', () => {
  beforeEach(() => setTimeZone('UTC'));
  afterEach(() => setTimeZone(LOCAL));

  it('is a time that moves with the clock', () => {
    const lengths: [string, number][] = [
      ['last 15 minutes', 15 * MINUTE],
      ['Last  15 Min', 15 * MINUTE],
      ['-1h', HOUR],
      ['now-1h', HOUR],
      ['15m', 15 * MINUTE],
      ['past hour', HOUR],
      ['1h30m', 90 * MINUTE],
      ['1 hour 30 minutes', 90 * MINUTE],
      ['2 weeks', 14 * DAY],
      ['1.5h', 90 * MINUTE],
      ['90s', 90 * SECOND],
      ['last day', DAY],
    ];
    for (const [words, ms] of lengths) {
      expect(rangeOfWords(words, NOW), words).toEqual({ kind: 'last', ms });
    }
    expect(rangeOfWords('all time', NOW)).toEqual({ kind: 'all' });
  });

  it('is a day by its name or its date', () => {
    expect(absolute('today')).toEqual(['2026-05-06T00:00:00.000Z', '2026-05-07T00:00:00.000Z']);
    expect(absolute('Yesterday')).toEqual(['2026-05-05T00:00:00.000Z', '2026-05-06T00:00:00.000Z']);
    expect(absolute('this week')).toEqual(['2026-05-04T00:00:00.000Z', '2026-05-11T00:00:00.000Z']);
    expect(absolute('this month')?.[1]).toBe('2026-06-01T00:00:00.000Z');
    expect(absolute('2026-02-28')).toEqual([
      '2026-02-28T00:00:00.000Z',
      '2026-03-01T00:00:00.000Z',
    ]);
  });

  it('goes from one time to another', () => {
    const morning = ['2026-05-01T10:00:00.000Z', '2026-05-01T11:30:00.000Z'];
    for (const words of [
      '2026-05-01 10:00 to 11:30',
      '2026-05-01 10:00 - 2026-05-01 11:30',
      '2026-05-01T10:00:00Z..2026-05-01T11:30:00Z',
      'from 2026-05-01T10:00 until 11:30:00',
      '2026-05-01T12:00:00+02:00 to 2026-05-01T11:30:00Z',
      '1777629600 to 1777635000',
    ]) {
      expect(absolute(words), words).toEqual(morning);
    }
    expect(absolute('now-2h to now-1h')).toEqual([
      '2026-05-06T07:30:00.000Z',
      '2026-05-06T08:30:00.000Z',
    ]);
    expect(absolute('08:00 – 09:00')?.[0]).toBe('2026-05-06T08:00:00.000Z');
    expect(absolute('2026-05-01 to 2026-05-02')?.[1]).toBe('2026-05-03T00:00:00.000Z');
    expect(absolute('since 08:00')).toEqual([
      '2026-05-06T08:00:00.000Z',
      '2026-05-06T09:30:00.000Z',
    ]);
  });

  it('is read in the zone in force', () => {
    setTimeZone('Europe/Prague');
    expect(absolute('2026-05-01 10:00 to 11:00')?.[0]).toBe('2026-05-01T08:00:00.000Z');
  });

  it('is refused when it makes no sense', () => {
    for (const words of [
      '',
      'soon',
      'last',
      'last 15',
      'last 0 minutes',
      '-',
      '25:00 to 26:00',
      '2026-13-01',
      '2026-02-30',
      '2026-05-02 to 2026-05-01 10:00',
      'a to b',
      '1h to 2h to 3h',
      '<img src=x>',
      '9'.repeat(400),
    ]) {
      expect(rangeOfWords(words, NOW), words).toBeNull();
    }
  });
});
