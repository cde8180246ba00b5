/*
 * A time range as dashboards keep it: `{"durationString","timeframe","start","end"}`. Relative
 * ones are durations of ISO 8601 (`PT1H`, `P7D`), absolute ones `CUSTOM` with start and end. What
 * earlier versions wrote (`1h`, `all`, `from..to`) is read, too.
 */
import { DAY, HOUR, MINUTE, rangeFromText, SECOND, toRfc3339, type TimeRange } from './time';

export interface Timeframe {
  durationString?: string;
  timeframe?: string;
  start?: string;
  end?: string;
}

const DURATION =
  /^P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$/;
const UNITS = [365 * DAY, 30 * DAY, 7 * DAY, DAY, HOUR, MINUTE, SECOND];
const MS_MAX = 100 * 366 * DAY;

function fromDuration(text: string): TimeRange | null {
  const parts = DURATION.exec(text)?.slice(1);
  const ms = parts?.reduce((sum, part, i) => sum + Number(part ?? 0) * (UNITS[i] ?? 0), 0) ?? 0;
  return ms > 0 && ms <= MS_MAX ? { kind: 'last', ms } : null;
}

function toDuration(ms: number): string {
  if (ms % DAY === 0) {
    return `P${ms / DAY}D`;
  }
  for (const [unit, letter] of [
    [HOUR, 'H'],
    [MINUTE, 'M'],
  ] as const) {
    if (ms % unit === 0) {
      return `PT${ms / unit}${letter}`;
    }
  }
  return `PT${Math.max(1, Math.round(ms / SECOND))}S`;
}

/** Null: there is none, or nobody can tell which. */
export function readTimeframe(value: unknown): TimeRange | null {
  if (typeof value !== 'object' || value === null) {
    return null;
  }
  const { durationString, timeframe, start, end } = value as Record<string, unknown>;
  const words = [timeframe, durationString].filter((word) => typeof word === 'string');
  for (const word of words) {
    const range = rangeFromText(word) ?? fromDuration(word);
    if (range) {
      return range;
    }
  }
  const [from, to] = [Date.parse(String(start)), Date.parse(String(end))];
  return Number.isFinite(from) && Number.isFinite(to) && from < to
    ? { kind: 'absolute', from, to }
    : null;
}

export function writeTimeframe(range: TimeRange): Timeframe {
  switch (range.kind) {
    case 'all':
      return { durationString: '', timeframe: 'all' };
    case 'last':
      return { durationString: toDuration(range.ms), timeframe: toDuration(range.ms) };
    case 'absolute':
      return {
        durationString: '',
        timeframe: 'CUSTOM',
        start: toRfc3339(range.from),
        end: toRfc3339(range.to),
      };
  }
}
