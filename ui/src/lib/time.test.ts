import { describe, expect, it } from 'vitest';
import {
  agoText,
  boundsOf,
  DAY,
  durationText,
  fromField,
  HOUR,
  MINUTE,
  PRESETS,
  rangeFromText,
  rangeLabel,
  rangeToText,
  SECOND,
  shifted,
  stampText,
  toField,
  toRfc3339,
  zoomOut,
  type TimeRange,
} from './time';

const NOW = Date.UTC(2026, 4, 4, 9, 30, 0, 250);

describe('a time range', () => {
  it('survives being written into a link and read back', () => {
    const ranges: TimeRange[] = [
      ...PRESETS.map((preset) => preset.range),
      { kind: 'last', ms: 90 * SECOND },
      { kind: 'absolute', from: NOW - HOUR, to: NOW },
      { kind: 'absolute', from: 0, to: SECOND },
    ];
    for (const range of ranges) {
      expect(rangeFromText(rangeToText(range))).toEqual(range);
    }
  });

  it('is refused when a link was typed wrongly', () => {
    for (const text of [
      '',
      'x',
      '0h',
      '-1h',
      '1',
      '1w',
      '99999999d',
      'a..b',
      '2026-01-02..2026-01-01',
      '..',
    ]) {
      expect(rangeFromText(text), text).toBeNull();
    }
  });

  it('becomes whole seconds that contain this very moment', () => {
    const { from, to } = boundsOf({ kind: 'last', ms: HOUR }, NOW);
    expect(to).toBeGreaterThan(NOW);
    expect(to - from).toBe(HOUR);
    expect(from % SECOND).toBe(0);
    expect(to % SECOND).toBe(0);
  });

  it('never loses a part of an absolute range to rounding, and is never empty', () => {
    expect(boundsOf({ kind: 'absolute', from: 1500, to: 2500 }, NOW)).toEqual({
      from: 1000,
      to: 3000,
    });
    expect(boundsOf({ kind: 'absolute', from: 1000, to: 1000 }, NOW)).toEqual({
      from: 1000,
      to: 2000,
    });
  });

  it('holds the epoch itself when it is all time, and never says zero', () => {
    expect(boundsOf({ kind: 'all' }, NOW).from).toBeLessThan(0);
  });

  it('has the names of the picker', () => {
    expect(rangeLabel({ kind: 'last', ms: DAY })).toBe('Last 24 hours');
    expect(rangeLabel({ kind: 'last', ms: 3 * MINUTE })).toBe('Last 3m');
    expect(rangeLabel({ kind: 'all' })).toBe('All time');
    const { from } = boundsOf({ kind: 'all' }, NOW);
    expect(rangeLabel({ kind: 'absolute', from, to: NOW })).toMatch(/^Until .*\d:\d\d/);
    expect(rangeLabel({ kind: 'absolute', from: from + 1, to: NOW })).toContain(' – ');
  });

  it('goes to what is before and behind it, by its own length', () => {
    expect(shifted(NOW - HOUR, NOW, -1)).toEqual({
      kind: 'absolute',
      from: NOW - 2 * HOUR,
      to: NOW - HOUR,
    });
    expect(shifted(NOW - HOUR, NOW, 1)).toMatchObject({ from: NOW, to: NOW + HOUR });
  });

  it('doubles when zoomed out, and does not reach into the future', () => {
    const past = zoomOut(NOW - 3 * HOUR, NOW - 2 * HOUR, NOW);
    expect(past).toEqual({ kind: 'absolute', from: NOW - 3.5 * HOUR, to: NOW - 1.5 * HOUR });
    const current = zoomOut(NOW - HOUR, NOW, NOW) as { from: number; to: number };
    expect(current.to).toBeLessThanOrEqual(NOW + SECOND);
    expect(current.to - current.from).toBe(2 * HOUR);
  });
});

describe('times as text', () => {
  it('are RFC 3339 towards the server, without an empty fraction', () => {
    expect(toRfc3339(Date.UTC(2026, 0, 2, 3, 4, 5))).toBe('2026-01-02T03:04:05Z');
    expect(toRfc3339(NOW)).toBe('2026-05-04T09:30:00.250Z');
  });

  it('go through the picker fields unharmed', () => {
    expect(fromField(toField(Math.floor(NOW / SECOND) * SECOND))).toBe(
      Math.floor(NOW / SECOND) * SECOND,
    );
    expect(fromField('')).toBeNull();
    expect(fromField('yesterday')).toBeNull();
  });

  it('are shown as they came when they are no times', () => {
    expect(stampText('not a time')).toBe('not a time');
    expect(stampText('2026-05-04T09:30:00.123456789Z')).toMatch(/^2026-05-0\d \d\d:\d0:00\.123$/);
  });

  it('say how long ago, in the largest unit that fits', () => {
    expect(agoText(NOW - SECOND, NOW)).toBe('just now');
    expect(agoText(NOW - 5 * MINUTE, NOW)).toBe('5 min ago');
    expect(agoText(NOW - 3 * HOUR, NOW)).toBe('3 h ago');
  });

  it('say how long something took', () => {
    expect(durationText(119_900)).toBe('1 min 59 s');
    expect([7, 1234, 65_000, 3_700_000, 26 * HOUR].map(durationText)).toEqual([
      '7 ms',
      '1.23 s',
      '1 min 5 s',
      '1 h 1 min',
      '1 d 2 h',
    ]);
  });
});
