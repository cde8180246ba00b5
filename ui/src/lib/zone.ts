/*
 * The zone that times are shown and typed in: the browser's, UTC, or any other by its name. One for
 * the whole page: it is a preference of whoever is logged in. Instants are milliseconds since the
 * epoch everywhere else.
 */

export interface Clock {
  year: number;
  /** 1 to 12 */
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
  ms: number;
}

/** The browser's own zone. */
export const LOCAL = 'local';

let zone = LOCAL;
let format: Intl.DateTimeFormat | null = null;

/** `local`, `UTC` or a name like `Europe/Prague`; false, and no change, if there is no such zone. */
export function setTimeZone(name: string): boolean {
  if (name === LOCAL || name === '') {
    [zone, format] = [LOCAL, null];
    return true;
  }
  try {
    const next = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      hourCycle: 'h23',
      era: 'short',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    [zone, format] = [name, name === 'UTC' ? null : next];
    return true;
  } catch {
    return false;
  }
}

export function timeZone(): string {
  return zone;
}

/** What people call the zone that is in force: `Europe/Prague`, `UTC`. */
export function zoneLabel(): string {
  return zone === LOCAL ? Intl.DateTimeFormat().resolvedOptions().timeZone : zone;
}

/** The names of all zones, for a list to choose from. */
export function zoneNames(): string[] {
  const known = 'supportedValuesOf' in Intl ? Intl.supportedValuesOf('timeZone') : [];
  return ['UTC', ...known.filter((name) => name !== 'UTC')];
}

export function clockOf(at: number): Clock {
  const date = new Date(zone === LOCAL ? at : at + offsetOf(at));
  return zone === LOCAL
    ? {
        year: date.getFullYear(),
        month: date.getMonth() + 1,
        day: date.getDate(),
        hour: date.getHours(),
        minute: date.getMinutes(),
        second: date.getSeconds(),
        ms: date.getMilliseconds(),
      }
    : {
        year: date.getUTCFullYear(),
        month: date.getUTCMonth() + 1,
        day: date.getUTCDate(),
        hour: date.getUTCHours(),
        minute: date.getUTCMinutes(),
        second: date.getUTCSeconds(),
        ms: date.getUTCMilliseconds(),
      };
}

/**
 * The instant at which the clock shows this. Values beyond their range carry over (day 0 is the
 * last of the month before). An hour that is skipped or twice there gives one of its neighbours.
 */
export function instantOf(clock: Partial<Clock> & { year: number }): number {
  const { year, month = 1, day = 1, hour = 0, minute = 0, second = 0, ms = 0 } = clock;
  const date = new Date(0);
  if (zone === LOCAL) {
    date.setFullYear(year, month - 1, day);
    date.setHours(hour, minute, second, ms);
    return date.getTime();
  }
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second, ms);
  const wall = date.getTime();
  const first = wall - offsetOf(wall);
  return wall - offsetOf(first);
}

/** How far the zone's clock is ahead of UTC at an instant, in ms. */
export function offsetOf(at: number): number {
  if (zone === LOCAL) {
    return -new Date(at).getTimezoneOffset() * 60_000;
  }
  if (format === null || !Number.isFinite(at)) {
    return 0;
  }
  const part: Record<string, string> = {};
  for (const { type, value } of format.formatToParts(at)) {
    part[type] = value;
  }
  const year = Number(part['year']) * (part['era']?.startsWith('B') ? -1 : 1);
  const wall = new Date(0);
  wall.setUTCFullYear(year, Number(part['month']) - 1, Number(part['day']));
  wall.setUTCHours(Number(part['hour']), Number(part['minute']), Number(part['second']), 0);
  return wall.getTime() - Math.floor(at / 1000) * 1000;
}
