/*
 * A time range as people type it: `last 15 minutes`, `-1h`, `today`, `2026-01-02 10:00 to 11:30`,
 * `now-2h to now-1h`, Unix seconds. Times without a zone are those of the zone in force (zone.ts).
 */
import { DAY, HOUR, MINUTE, SECOND, rangeFromText, type TimeRange } from './time';
import { clockOf, instantOf, type Clock } from './zone';

const UNIT_MS: [RegExp, number][] = [
  [/^(?:s|secs?|seconds?)$/, SECOND],
  [/^(?:m|mins?|minutes?)$/, MINUTE],
  [/^(?:h|hrs?|hours?)$/, HOUR],
  [/^(?:d|days?)$/, DAY],
  [/^(?:w|wks?|weeks?)$/, 7 * DAY],
  [/^(?:mo|months?)$/, 30 * DAY],
  [/^(?:y|yrs?|years?)$/, 365 * DAY],
];
const LAST_MS_MAX = 100 * 366 * DAY;
const BETWEEN = /\s*(?:\.\.|–|—)\s*|\s+(?:to|until|till|and|-)\s+/;

/** Null: it cannot be understood, or it would not begin before it ends. */
export function rangeOfWords(words: string, now: number): TimeRange | null {
  const text = words.trim().toLowerCase().replace(/\s+/g, ' ');
  if (text === '') {
    return null;
  }
  if (/^(?:all|all time|everything|ever)$/.test(text)) {
    return { kind: 'all' };
  }
  const linked = rangeFromText(words.trim());
  if (linked) {
    return linked;
  }
  const last = durationOfWords(text.replace(/^(?:the )?(?:last|past|previous|now ?-|-) ?/, ''));
  if (last !== null) {
    return { kind: 'last', ms: last };
  }
  const parts = text.replace(/^(?:from|between|since) /, '').split(BETWEEN);
  if (parts.length === 1) {
    const span = spanOf(parts[0] ?? '', now);
    return span === null
      ? null
      : /^since /.test(text)
        ? absolute(span.from, now)
        : absolute(span.from, span.to);
  }
  if (parts.length !== 2) {
    return null;
  }
  const from = spanOf(parts[0] ?? '', now);
  const to = from && spanOf(parts[1] ?? '', now, from.from);
  return from && to ? absolute(from.from, to.point ? to.from : to.to) : null;
}

function absolute(from: number, to: number): TimeRange | null {
  return from < to ? { kind: 'absolute', from, to } : null;
}

/** `15m`, `1h 30m`, `2 days`, `hour`; null if it is none. */
export function durationOfWords(text: string): number | null {
  if (!/^(?:\d+(?:\.\d+)? ?[a-z]+[ ,]*|[a-z]+)+$/.test(text)) {
    return null;
  }
  let ms = 0;
  let rest = text;
  for (let part; rest !== ''; rest = rest.slice(part[0].length)) {
    part = /^(\d+(?:\.\d+)?)? ?([a-z]+)[ ,]*/.exec(rest);
    const unit = UNIT_MS.find(([name]) => name.test(part?.[2] ?? ''));
    if (part === null || unit === undefined || (part[1] === undefined && rest !== text)) {
      return null;
    }
    ms += Math.round(Number(part[1] ?? 1) * unit[1]);
  }
  return ms >= SECOND && ms <= LAST_MS_MAX ? ms : null;
}

interface Span {
  from: number;
  to: number;
  /** An instant, given to the second or finer; its `to` is now. */
  point: boolean;
}

/** A day is a span from its beginning to its end; an instant reaches until now. */
function spanOf(text: string, now: number, day: number = now): Span | null {
  const point = (at: number | null): Span | null =>
    at !== null && Number.isFinite(at) ? { from: at, to: now, point: true } : null;
  if (text === 'now') {
    return point(now);
  }
  const ago = /^(?:now ?)?-(.*)$/.exec(text) ?? /^(.*) ago$/.exec(text);
  if (ago) {
    const ms = durationOfWords(ago[1]?.trim() ?? '');
    return ms === null ? null : point(now - ms);
  }
  const named = namedSpan(text, now);
  if (named) {
    return named;
  }
  const clock = clockOf(day);
  const time = /^(\d{1,2}):(\d\d)(?::(\d\d))?$/.exec(text);
  if (time) {
    return point(within(clock, time[1], time[2], time[3]));
  }
  const date =
    /^(\d{4})-(\d{1,2})-(\d{1,2})(?:[t ](\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?$/.exec(
      text,
    );
  if (date) {
    const on: Clock = { ...zero(Number(date[1])), month: Number(date[2]), day: Number(date[3]) };
    if (on.month < 1 || on.month > 12 || on.day < 1 || clockOf(instantOf(on)).day !== on.day) {
      return null;
    }
    if (date[4] === undefined) {
      return { from: instantOf(on), to: instantOf({ ...on, day: on.day + 1 }), point: false };
    }
    const at = within(on, date[4], date[5], date[6]);
    return point(at === null ? null : at + Math.floor(Number(`0.${date[7] ?? 0}`) * SECOND));
  }
  if (/^\d{9,10}(?:\.\d+)?$/.test(text)) {
    return point(Number(text) * SECOND);
  }
  if (/^\d{12,13}$/.test(text)) {
    return point(Number(text));
  }
  return /\d{4}-\d\d-\d\d[t ].*(?:z|[+-]\d\d:?\d\d)$/.test(text)
    ? point(Date.parse(text.toUpperCase()))
    : null;
}

function zero(year: number): Clock {
  return { year, month: 1, day: 1, hour: 0, minute: 0, second: 0, ms: 0 };
}

function within(on: Clock, h = '0', m = '0', s = '0'): number | null {
  const [hour, minute, second] = [Number(h), Number(m), Number(s)];
  return hour > 24 || minute > 59 || second > 59
    ? null
    : instantOf({ ...on, hour, minute, second, ms: 0 });
}

function namedSpan(text: string, now: number): Span | null {
  const { year, month, day } = clockOf(now);
  const weekday = (new Date(Date.UTC(year, month - 1, day)).getUTCDay() + 6) % 7;
  const spans: Record<string, [Partial<Clock>, Partial<Clock>]> = {
    today: [{ day }, { day: day + 1 }],
    yesterday: [{ day: day - 1 }, { day }],
    'this week': [{ day: day - weekday }, { day: day - weekday + 7 }],
    'this month': [{ day: 1 }, { month: month + 1, day: 1 }],
    'this year': [
      { month: 1, day: 1 },
      { month: 13, day: 1 },
    ],
  };
  const span = spans[text];
  return span === undefined
    ? null
    : {
        from: instantOf({ year, month, ...span[0] }),
        to: instantOf({ year, month, ...span[1] }),
        point: false,
      };
}
