/*
 * The buckets of a chart in which nothing was counted. The server answers rows that there are: of
 * counts and sums one that is missing is 0, of means and the like it is not known.
 */
import type { WireChart } from './chart';
import { condensedAtEnd, stagesOf } from './condensed';
import { durationOfWords } from './rangetext';
import { DAY, SECOND } from './time';

const ADDING = new Set(['count', 'sum']);
const COUNTING = new Set([...ADDING, 'unique_count']);
/** Widths of windows that nobody chose (query_histogram_wider_s in src/lib/query/stats.c). */
const WIDTHS = [1, 2, 10, 30, 60, 300, 600, 1800, 3600, 10_800, 21_600].map(
  (seconds) => seconds * SECOND,
);
const WINDOWS_MAX = 400;
const OVER_WINDOWS_MAX = 1200;
const ENTRY_BUCKETS = 300;
const DOUBLINGS = 5;
/** So many times are not all multiples of something by accident. */
const TIMES_SURE = 6;

interface Counted {
  /** The names whose missing values are 0. */
  names: Set<string>;
  /** Those of which two windows together have the sum. */
  adding: Set<string>;
  /** Of the chart: in front of the keys, where there are several. */
  charted: string[];
  /** Widths that the windows may have, the likeliest first, then wider ones. */
  widths: (span: number) => number[];
}

/** The chart with a bucket for each window, and 0 where nothing was counted. */
export function withZeros(chart: WireChart, query: string): WireChart {
  const counted = countedBy(query);
  if (counted === null) {
    return chart;
  }
  const zero = chart.Names.map((name) => (isCounted(counted, name) ? 0 : null));
  const times = chart.Values.map(({ TS }) => Date.parse(TS));
  const width = widthOf(times, counted);
  const Values = chart.Values.flatMap(({ TS, Data }, i) => {
    const all = [{ TS, Data: zero.map((none, j) => Data[j] ?? none) }];
    const [at, next] = [times[i] ?? 0, times[i + 1]];
    // From behind: the first window may begin before the range, and has the time of the range.
    for (let n = next === undefined ? 0 : Math.ceil((next - at) / width) - 1; n > 0; n--) {
      all.push({ TS: new Date((next ?? 0) - n * width).toISOString(), Data: zero });
    }
    return all;
  });
  const adds = chart.Names.every((name) => isCounted(counted, name, counted.adding));
  return width < Infinity && adds ? { ...chart, Values, adds } : { ...chart, Values };
}

/** How wide the windows are; Infinity: that cannot be said. */
function widthOf(times: number[], { widths }: Counted): number {
  const span = (times[times.length - 1] ?? 0) - (times[0] ?? 0);
  const fits = widths(span).filter((width) => times.every((at, i) => i === 0 || at % width === 0));
  return (times.length < TIMES_SURE ? fits[0] : fits[fits.length - 1]) ?? Infinity;
}

function isCounted({ names: all, charted }: Counted, label: string, names = all): boolean {
  if (charted.length <= 1) {
    return charted.length === 0 || names.has(charted[0] ?? '');
  }
  const of = charted.filter((name) => label === name || label.startsWith(`${name} `));
  return (of.length > 0 ? of : charted).every((name) => names.has(name));
}

/** What is counted in a chart; null: nothing is. */
function countedBy(query: string): Counted | null {
  const stages = stagesOf(query);
  const [name, ...words] = stages.pop() ?? [];
  if (name !== 'chart') {
    return null;
  }
  const end = words.findIndex((word) => word === 'by' || word === 'limit');
  const charted = words.slice(0, end < 0 ? undefined : end).filter((word) => word !== ',');
  if (charted.length === 0) {
    return { names: new Set(), adding: new Set(), charted, widths: entryWidths };
  }
  const last = condensedAtEnd(stages);
  if (last === null || last.ofEntries) {
    return null;
  }
  const of = (ops: Set<string>) =>
    new Set(last.results.filter(({ op }) => ops.has(op)).map(({ name }) => name));
  const [names, adding] = [of(COUNTING), of(ADDING)];
  const over = last.over === null ? null : durationOfWords(last.over);
  return { names, adding, charted, widths: (span) => windowWidths(over, span) };
}

function windowWidths(over: number | null, span: number): number[] {
  const most = over === null ? WINDOWS_MAX : OVER_WINDOWS_MAX;
  let width = over ?? DAY;
  while (span / width >= most) {
    width *= 2;
  }
  const wide = Array.from({ length: DOUBLINGS }, (_, n) => width * 2 ** n);
  return over === null ? [...WIDTHS.filter((one) => span / one < most), ...wide] : wide;
}

/** Of a chart of single entries: whole seconds, a 300th of the time that it shows. */
function entryWidths(span: number): number[] {
  const width = Math.max(1, Math.floor(span / SECOND / ENTRY_BUCKETS)) * SECOND;
  return [width, width + SECOND];
}
