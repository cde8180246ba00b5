/*
 * Time ranges: what the picker offers, what a link carries, what the server is asked.
 *
 * A range is either relative ("the last hour", which moves with the clock) or absolute. In text
 * form, as links and the address bar carry it, a relative range is `15m`, `1h`, `7d` or `all`, and
 * an absolute one is `2026-01-02T03:04:05Z..2026-01-02T04:04:05Z`. All arithmetic is on
 * milliseconds since the epoch.
 */
import { clockOf, instantOf } from './zone';

export type TimeRange =
  { kind: 'last'; ms: number } | { kind: 'all' } | { kind: 'absolute'; from: number; to: number };

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

export const PRESETS: { label: string; short: string; range: TimeRange }[] = [
  { label: 'Last 5 minutes', short: '5m', range: { kind: 'last', ms: 5 * MINUTE } },
  { label: 'Last 15 minutes', short: '15m', range: { kind: 'last', ms: 15 * MINUTE } },
  { label: 'Last hour', short: '1h', range: { kind: 'last', ms: HOUR } },
  { label: 'Last 6 hours', short: '6h', range: { kind: 'last', ms: 6 * HOUR } },
  { label: 'Last 24 hours', short: '24h', range: { kind: 'last', ms: DAY } },
  { label: 'Last 7 days', short: '7d', range: { kind: 'last', ms: 7 * DAY } },
  { label: 'Last 30 days', short: '30d', range: { kind: 'last', ms: 30 * DAY } },
  { label: 'Last 90 days', short: '90d', range: { kind: 'last', ms: 90 * DAY } },
  { label: 'All time', short: 'all', range: { kind: 'all' } },
];

export const DEFAULT_RANGE: TimeRange = { kind: 'last', ms: HOUR };

const UNITS: [string, number][] = [
  ['d', DAY],
  ['h', HOUR],
  ['m', MINUTE],
  ['s', SECOND],
];

/**
 * "All time" begins a day before the epoch: entries without a sane time are mostly at zero, and
 * zero itself is "not set" to the server.
 */
const ALL_FROM = -DAY;

/** The longest relative range that makes sense: beyond it, the wish is "all". */
const LAST_MS_MAX = 100 * 366 * DAY;

/**
 * The bounds to ask the server for, at `now`. Whole seconds, the end rounded up, as the server
 * aligns ranges itself; the end of a range that ends now is one second ahead, so that an entry of
 * this very second is in it.
 */
export function boundsOf(range: TimeRange, now: number): { from: number; to: number } {
  const end = Math.floor(now / SECOND) * SECOND + SECOND;
  switch (range.kind) {
    case 'last':
      return { from: end - range.ms, to: end };
    case 'all':
      return { from: ALL_FROM, to: end };
    case 'absolute': {
      const from = Math.floor(range.from / SECOND) * SECOND;
      const to = Math.ceil(range.to / SECOND) * SECOND;
      return { from, to: Math.max(to, from + SECOND) };
    }
  }
}

export function rangeToText(range: TimeRange): string {
  switch (range.kind) {
    case 'all':
      return 'all';
    case 'absolute':
      return `${toRfc3339(range.from)}..${toRfc3339(range.to)}`;
    case 'last': {
      if (range.ms === DAY) {
        return '24h';
      }
      for (const [unit, ms] of UNITS) {
        if (range.ms % ms === 0) {
          return `${range.ms / ms}${unit}`;
        }
      }
      return `${Math.max(1, Math.round(range.ms / SECOND))}s`;
    }
  }
}

/** Null when the text is no range: links are typed by people, too. */
export function rangeFromText(text: string): TimeRange | null {
  if (text === 'all') {
    return { kind: 'all' };
  }
  const relative = /^([1-9][0-9]{0,8})([dhms])$/.exec(text);
  if (relative) {
    const unit = UNITS.find(([name]) => name === relative[2]);
    const ms = Number(relative[1]) * (unit?.[1] ?? 0);
    return ms > 0 && ms <= LAST_MS_MAX ? { kind: 'last', ms } : null;
  }
  const parts = text.split('..');
  if (parts.length !== 2) {
    return null;
  }
  const from = Date.parse(parts[0] ?? '');
  const to = Date.parse(parts[1] ?? '');
  return Number.isFinite(from) && Number.isFinite(to) && from < to
    ? { kind: 'absolute', from, to }
    : null;
}

export function sameRange(a: TimeRange, b: TimeRange): boolean {
  return rangeToText(a) === rangeToText(b);
}

/** What the picker's button says. */
export function rangeLabel(range: TimeRange): string {
  switch (range.kind) {
    case 'all':
      return 'All time';
    case 'last': {
      const preset = PRESETS.find((p) => sameRange(p.range, range));
      return preset ? preset.label : `Last ${rangeToText(range)}`;
    }
    case 'absolute':
      return spanLabel(range.from, range.to);
  }
}

/**
 * `3 May 09:00 – 10:30`: the second half leaves out what it shares with the first. What begins where
 * all time does is `Until 3 May 10:30`.
 */
export function spanLabel(from: number, to: number): string {
  const seconds = to - from < 10 * MINUTE || from % MINUTE !== 0 || to % MINUTE !== 0;
  const first = `${dayText(from)} ${clockText(from, seconds)}`;
  const sameDay = dayStamp(from) === dayStamp(to);
  const second = sameDay ? clockText(to, seconds) : `${dayText(to)} ${clockText(to, seconds)}`;
  return from <= ALL_FROM ? `Until ${second}` : `${first} – ${second}`;
}

/** Twice as long around the same middle, ending no later than `now` if it did so before. */
export function zoomOut(from: number, to: number, now: number): TimeRange {
  const half = Math.max(SECOND, (to - from) / 2);
  const end = to <= now + SECOND ? Math.min(to + half, now + SECOND) : to + half;
  return { kind: 'absolute', from: Math.max(ALL_FROM, end - (to - from) - 2 * half), to: end };
}

/** The range of the same length right before or behind. */
export function shifted(from: number, to: number, way: -1 | 1): TimeRange {
  const by = way * Math.max(SECOND, to - from);
  return { kind: 'absolute', from: Math.max(ALL_FROM, from + by), to: to + by };
}

export function toRfc3339(ms: number): string {
  const text = new Date(ms).toISOString();
  return text.endsWith('.000Z') ? `${text.slice(0, -5)}Z` : text;
}

/* ---- for people ---- */

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

function two(n: number): string {
  return n < 10 ? `0${n}` : String(n);
}

export function dayText(when: number | Date): string {
  const { year, month, day } = clockOf(Number(when));
  const other = year === clockOf(Date.now()).year ? '' : ` ${year}`;
  return `${day} ${MONTHS[month - 1]}${other}`;
}

export function clockText(when: number | Date, seconds = true): string {
  const { hour, minute, second } = clockOf(Number(when));
  const text = `${two(hour)}:${two(minute)}`;
  return seconds ? `${text}:${two(second)}` : text;
}

function dayStamp(at: number): string {
  const { year, month, day } = clockOf(at);
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`;
}

/** An entry's time in a result row, to the millisecond; a bad time is shown as it came. */
export function stampText(ts: string): string {
  const at = new Date(ts).getTime();
  if (Number.isNaN(at)) {
    return ts;
  }
  return `${dayStamp(at)} ${clockText(at)}.${String(clockOf(at).ms).padStart(3, '0')}`;
}

/** `just now`, `5 min ago`, `3 h ago`, then the day. */
export function agoText(ms: number, now: number): string {
  const age = now - ms;
  if (age < 45 * SECOND) {
    return 'just now';
  }
  if (age < 90 * MINUTE) {
    return `${Math.max(1, Math.round(age / MINUTE))} min ago`;
  }
  if (age < DAY) {
    return `${Math.round(age / HOUR)} h ago`;
  }
  return `${dayText(ms)}, ${clockText(ms, false)}`;
}

export function durationText(ms: number): string {
  if (ms < SECOND) {
    return `${Math.max(0, Math.round(ms))} ms`;
  }
  if (ms < MINUTE) {
    return `${(ms / SECOND).toFixed(ms < 10 * SECOND ? 2 : 1)} s`;
  }
  if (ms < HOUR) {
    return `${Math.floor(ms / MINUTE)} min ${Math.floor((ms % MINUTE) / SECOND)} s`;
  }
  if (ms < DAY) {
    return `${Math.floor(ms / HOUR)} h ${Math.floor((ms % HOUR) / MINUTE)} min`;
  }
  return `${Math.floor(ms / DAY)} d ${Math.floor((ms % DAY) / HOUR)} h`;
}

/* ---- the two fields of the picker ---- */

/** The value of an `<input type="datetime-local" step="1">`, in the zone in force. */
export function toField(ms: number): string {
  return `${dayStamp(ms)}T${clockText(ms)}`;
}

export function fromField(text: string): number | null {
  const part = /^(\d{4,6})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?$/.exec(text);
  if (!part) {
    return null;
  }
  const [year = 0, month, day, hour, minute, second = 0] = part.slice(1).map((n) => Number(n ?? 0));
  return instantOf({
    year,
    month: month ?? 1,
    day: day ?? 1,
    hour: hour ?? 0,
    minute: minute ?? 0,
    second,
  });
}
