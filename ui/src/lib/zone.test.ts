import { afterEach, describe, expect, it } from 'vitest';
import { clockOf, instantOf, LOCAL, offsetOf, setTimeZone, timeZone, zoneNames } from './zone';

const HOUR = 3_600_000;
const SUMMER = Date.UTC(2026, 6, 4, 22, 30, 5, 250);
const WINTER = Date.UTC(2026, 0, 4, 22, 30, 5);

describe('a time zone', () => {
  afterEach(() => setTimeZone(LOCAL));

  it('is the browser’s until another is chosen, and an unknown one changes nothing', () => {
    expect(timeZone()).toBe(LOCAL);
    expect(setTimeZone('UTC')).toBe(true);
    expect(setTimeZone('Middle-earth/Shire')).toBe(false);
    expect(setTimeZone('<script>')).toBe(false);
    expect(timeZone()).toBe('UTC');
    expect(zoneNames()).toContain('UTC');
  });

  it('shows another day and hour, in summer and in winter', () => {
    setTimeZone('Europe/Prague');
    expect(clockOf(SUMMER)).toEqual({
      year: 2026,
      month: 7,
      day: 5,
      hour: 0,
      minute: 30,
      second: 5,
      ms: 250,
    });
    expect(offsetOf(SUMMER)).toBe(2 * HOUR);
    expect(offsetOf(WINTER)).toBe(HOUR);
    setTimeZone('Asia/Kathmandu');
    expect(clockOf(WINTER)).toMatchObject({ day: 5, hour: 4, minute: 15 });
  });

  it('gives back the instant whose clock it showed', () => {
    for (const name of ['UTC', 'Europe/Prague', 'America/St_Johns', 'Pacific/Apia', LOCAL]) {
      setTimeZone(name);
      for (const at of [SUMMER, WINTER, -1, 0, Date.UTC(1969, 6, 20, 20, 17, 40)]) {
        expect(instantOf(clockOf(at)), `${name} ${at}`).toBe(at);
      }
    }
  });

  it('carries values over their ends', () => {
    setTimeZone('UTC');
    expect(instantOf({ year: 2026, month: 3, day: 0 })).toBe(Date.UTC(2026, 1, 28));
    expect(instantOf({ year: 2025, month: 13, day: 1 })).toBe(Date.UTC(2026, 0, 1));
  });
});
