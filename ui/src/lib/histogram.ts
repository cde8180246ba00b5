/*
 * The overview above the results: how many entries there are in each slice of time.
 */
import type { OverviewBucket } from './types';
import { DAY, HOUR, MINUTE, SECOND, clockText, dayText } from './time';
import { clockOf, instantOf, offsetOf } from './zone';

export interface Bar {
  from: number;
  to: number;
  count: number;
}

const BUCKETS_MAX = 240; /* many divisors, so that bars are whole numbers of buckets */
const BAR_PX_MIN = 7;
const CLOSEST_MS = 5 * MINUTE;

/**
 * How many slices to ask the server for: of a round length if there are about enough of them, else
 * of whole seconds if there is such a number: else even traffic would look uneven.
 */
export function bucketsFor(from: number, to: number): number {
  const seconds = Math.max(1, Math.floor((to - from) / SECOND));
  const most = Math.min(BUCKETS_MAX, seconds);
  const round = STEPS.find((step) => to - from <= most * step);
  if (round !== undefined && (to - from) % round === 0 && to - from >= (most / 3) * round) {
    return (to - from) / round;
  }
  return dividing(seconds, most, most / 3) ?? most;
}

/**
 * How many bars to draw of them, and where the last one ends, which may be behind the range: each
 * is of equally many slices.
 */
export function barsFor(widthPx: number, from: number, to: number): { count: number; to: number } {
  const slices = bucketsFor(from, to);
  const fits = Math.max(1, Math.min(slices, Math.floor(widthPx / BAR_PX_MIN)));
  const even = dividing(slices, fits, fits / 3);
  const each = even === undefined ? Math.ceil(slices / fits) : slices / even;
  const count = Math.ceil(slices / each);
  return { count, to: from + (count * each * (to - from)) / slices };
}

/** The greatest number up to `most`, and above `least`, that divides `whole`. */
function dividing(whole: number, most: number, least: number): number | undefined {
  for (let count = most; count > least; count--) {
    if (whole % count === 0) {
      return count;
    }
  }
  return undefined;
}

/**
 * Lays the server's buckets into `count` equal bars over the whole range. What lies outside the
 * range is left out; buckets that are coarser or finer than the bars keep their sum.
 */
export function bars(buckets: OverviewBucket[], from: number, to: number, count: number): Bar[] {
  const width = (to - from) / count;
  const result: Bar[] = [];
  for (let i = 0; i < count; i++) {
    result.push({ from: from + i * width, to: from + (i + 1) * width, count: 0 });
  }
  for (const bucket of buckets) {
    const at = Math.floor((new Date(bucket.TS).getTime() - from) / width + 1e-9);
    const bar = result[at];
    if (bar) {
      bar.count += bucket.Count;
    }
  }
  return result;
}

/**
 * The part of the range that holds anything, one bar wider on each side; null when there is nothing
 * to cut.
 */
export function occupied(all: Bar[]): { from: number; to: number } | null {
  const first = all.findIndex((bar) => bar.count > 0);
  if (first < 0) {
    return null;
  }
  const last = all.length - 1 - [...all].reverse().findIndex((bar) => bar.count > 0);
  const from = all[Math.max(0, first - 1)] as Bar;
  const to = all[Math.min(all.length - 1, last + 1)] as Bar;
  return { from: from.from, to: to.to };
}

/** Where to look closer: the part that holds anything, if it is a small one; null: it is not. */
export function closer(
  buckets: OverviewBucket[],
  from: number,
  to: number,
): { from: number; to: number } | null {
  // A slice counts where it begins: bars narrower than slices would end before what they hold.
  const part = occupied(bars(buckets, from, to, bucketsFor(from, to)));
  const small =
    part !== null && part.to - part.from <= 0.8 * (to - from) && part.to - part.from >= CLOSEST_MS;
  return small ? rounded(part) : null;
}

/** The part made wider, so that it begins and ends at round times of the zone in force. */
export function rounded(part: { from: number; to: number }): { from: number; to: number } {
  const step = STEPS.find((one) => (part.to - part.from) / one <= BUCKETS_MAX / 2) ?? DAY;
  const shift = -offsetOf(part.from);
  return {
    from: Math.floor((part.from - shift) / step) * step + shift,
    to: Math.ceil((part.to - shift) / step) * step + shift,
  };
}

/** The top of the scale: a round number. */
export function niceMax(most: number): number {
  if (most <= 1) {
    return 1;
  }
  const power = 10 ** Math.floor(Math.log10(most));
  const step = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((factor) => factor * power >= most) ?? 10;
  return step * power;
}

const STEPS = [
  SECOND,
  2 * SECOND,
  5 * SECOND,
  10 * SECOND,
  15 * SECOND,
  30 * SECOND,
  MINUTE,
  2 * MINUTE,
  5 * MINUTE,
  10 * MINUTE,
  15 * MINUTE,
  30 * MINUTE,
  HOUR,
  2 * HOUR,
  3 * HOUR,
  6 * HOUR,
  12 * HOUR,
  DAY,
  2 * DAY,
  7 * DAY,
  14 * DAY,
  30 * DAY,
  90 * DAY,
];

export interface Tick {
  at: number;
  label: string;
}

/** Round times of the zone in force inside the range, at most `most` of them. */
export function ticks(from: number, to: number, most: number): Tick[] {
  const step = STEPS.find((s) => (to - from) / s <= most);
  if (step === undefined) {
    return yearTicks(from, to, most);
  }
  const shift = -offsetOf(from);
  const result: Tick[] = [];
  for (let at = Math.ceil((from - shift) / step) * step + shift; at <= to; at += step) {
    result.push({ at, label: tickLabel(at, step) });
  }
  return result;
}

function yearTicks(from: number, to: number, most: number): Tick[] {
  const first = clockOf(from).year;
  const years = clockOf(to).year - first;
  const step = [1, 2, 5, 10, 20, 50].find((s) => years / s <= most) ?? 100;
  const result: Tick[] = [];
  for (let year = Math.ceil(first / step) * step; year <= first + years; year += step) {
    const at = instantOf({ year });
    if (at >= from && at <= to) {
      result.push({ at, label: String(year) });
    }
  }
  return result;
}

function tickLabel(at: number, step: number): string {
  if (step >= DAY) {
    return dayText(at);
  }
  const { hour, minute, second } = clockOf(at);
  return hour === 0 && minute === 0 && second === 0 ? dayText(at) : clockText(at, step < MINUTE);
}

/** 1,234 or 1.2M: short enough for an axis. */
export function countText(n: number): string {
  const units: [number, string][] = [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e4, 'k'],
  ];
  for (const [size, unit] of units) {
    if (n >= size) {
      const scaled = n / (unit === 'k' ? 1e3 : size);
      return `${scaled >= 100 || Number.isInteger(scaled) ? Math.round(scaled) : scaled.toFixed(1)}${unit}`;
    }
  }
  return n.toLocaleString('en-US');
}

/** How far a search has come, 0 to 1: it walks from the end of its range to the beginning. */
export function progressOf(position: string | undefined, from: number, to: number): number {
  const at = position === undefined ? NaN : new Date(position).getTime();
  if (!Number.isFinite(at) || at < -1e13) {
    return 0;
  }
  return Math.min(1, Math.max(0, (to - at) / (to - from)));
}
