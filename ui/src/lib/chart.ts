/*
 * What the renderers other than text and table answer, as options for ECharts. Pure: nothing of
 * ECharts is loaded here (components/ChartView.svelte does, when a chart is to be drawn).
 *
 * Tooltips are drawn on the canvas: the server's Content-Security-Policy allows no inline styles.
 */
import { placesOfNodes } from './graph-layout';
import { clockText, dayText, DAY, MINUTE, stampText } from './time';
import { clockOf } from './zone';

export type ChartKind = 'line' | 'area' | 'stacked' | 'bar' | 'pie';

export const CHART_KINDS: { kind: ChartKind; label: string }[] = [
  { kind: 'line', label: 'Line' },
  { kind: 'area', label: 'Area' },
  { kind: 'stacked', label: 'Stacked' },
  { kind: 'bar', label: 'Bars' },
  { kind: 'pie', label: 'Pie' },
];

/** More lines than that nobody can tell apart, and drawing them takes seconds. */
export const SERIES_SHOWN_MAX = 200;
const LEGEND_HEIGHT = 34;
/** More bars than that are thinner than the lines between them. */
const BARS_MAX = 400;

export interface WireChart {
  Names: string[];
  Values: { TS: string; Data: (number | null)[] }[];
  /** Buckets are equally long, without a gap, and neighbours may be added up (lib/zeros.ts). */
  adds?: boolean;
}
export interface WireStack {
  Key: string;
  Values: { Label: string; Value: number }[];
}
export interface WireMagnitude {
  Name: string;
  Magnitude: number;
  Min: number;
  Max: number;
}
export interface WirePoint {
  Loc: { Lat: number; Long: number };
  Metadata?: Record<string, string>[];
}
export interface WireArc {
  Src: { Lat: number; Long: number };
  Dst: { Lat: number; Long: number };
  Magnitude: number;
  Values?: string[];
}
export interface WireGraph {
  nodes: { name: string; group: number }[];
  links: { value: number; source: number; target: number }[];
  groups: string[];
}

/** Rows for people who want figures, and for those who do not see the picture. */
export interface Figures {
  columns: string[];
  rows: string[][];
}

export interface Colours {
  text: string;
  muted: string;
  line: string;
  surface: string;
  accent: string;
  series: string[];
  /** A canvas knows no `inherit`. */
  font: string;
}

/** An ECharts option; typed where it is used. */
export type Option = Record<string, unknown>;

const number = (value: number | null | undefined): string =>
  value === null || value === undefined
    ? ''
    : value.toLocaleString('en-US', { maximumFractionDigits: 3 });

function list<T>(value: unknown): T[] {
  return Array.isArray(value) ? (value as T[]) : [];
}

export function chartOf(data: unknown): WireChart {
  const chart = (data ?? {}) as Partial<WireChart>;
  const adds = chart.adds === true ? { adds: true } : {};
  return { Names: list(chart.Names), Values: list(chart.Values), ...adds };
}

export function graphOf(data: unknown): WireGraph {
  const graph = (data ?? {}) as Partial<WireGraph>;
  return { nodes: list(graph.nodes), links: list(graph.links), groups: list(graph.groups) };
}

function base(colours: Colours, label: string): Option {
  return {
    animation: false,
    color: colours.series,
    textStyle: { color: colours.text, fontFamily: colours.font },
    aria: { enabled: true, label: { description: label } },
    tooltip: {
      renderMode: 'richText',
      confine: true,
      backgroundColor: colours.surface,
      borderColor: colours.line,
      textStyle: { color: colours.text },
    },
  };
}

function axis(colours: Colours, more: Option): Option {
  return {
    axisLine: { lineStyle: { color: colours.line } },
    axisLabel: { color: colours.muted, hideOverlap: true },
    splitLine: { lineStyle: { color: colours.line } },
    ...more,
  };
}

function legend(colours: Colours, count: number): Option {
  return {
    show: count > 1,
    type: 'scroll',
    bottom: 0,
    icon: 'roundRect',
    itemWidth: 14,
    itemHeight: 9,
    selector:
      count > 2
        ? [
            { type: 'all', title: 'All' },
            { type: 'inverse', title: 'Others' },
          ]
        : false,
    selectorLabel: { color: colours.muted, borderColor: colours.line },
    textStyle: { color: colours.text, lineHeight: 17 } /* else the ends of g and y are cut off */,
    pageTextStyle: { color: colours.muted },
    pageIconColor: colours.accent,
  };
}

/** Times in the zone in force, which is not always the browser's. */
function timeAxis(times: number[], colours: Colours): Option {
  const span = (times[times.length - 1] ?? 0) - (times[0] ?? 0);
  const label = (at: number) => {
    const { hour, minute } = clockOf(at);
    const day = span > 4 * DAY || (hour === 0 && minute === 0 && span > MINUTE);
    return day ? dayText(at) : clockText(at, span < 10 * MINUTE);
  };
  const stamp = ({ value }: { value: number }) => stampText(new Date(value).toISOString());
  const plain = axis(colours, { type: 'time', splitLine: { show: false } });
  const only = span === 0 ? times[0] : undefined; /* else two days around it, in hours alone */
  const around = only === undefined ? {} : { min: only - MINUTE, max: only + MINUTE };
  return {
    ...plain,
    ...around,
    axisLabel: { ...(plain['axisLabel'] as Option), formatter: label },
    axisPointer: { label: { formatter: stamp } },
  };
}

/** Whether lines would all lie in the upper quarter over an axis that begins at 0. */
function farFromZero(chart: WireChart, names: number): boolean {
  let [least, most] = [Infinity, 0];
  for (const { Data } of chart.Values) {
    for (const value of Data.slice(0, names)) {
      least = value === null ? least : Math.min(least, value);
      most = value === null ? most : Math.max(most, value);
    }
  }
  return most > least && least > 0.75 * most;
}

/** A line's points; one between two gaps is a dot, as no line leads to it. */
function linePoints(times: number[], values: (number | null)[]): Option {
  const alone = values.map(
    (value, i) =>
      value !== null && (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null,
  );
  const dotted = alone.includes(true);
  return {
    showSymbol: dotted,
    ...(dotted ? { symbol: 'none' } : {}),
    data: values.map((value, i) =>
      alone[i] ? { value: [times[i], value], symbol: 'circle' } : [times[i], value],
    ),
  };
}

/** How many buckets a bar adds up: so many that each bar can be seen. */
export function bucketsInBar(chart: WireChart): number {
  return chart.adds ? Math.max(1, Math.ceil(chart.Values.length / BARS_MAX)) : 1;
}

function merged(chart: WireChart): WireChart {
  const each = bucketsInBar(chart);
  const Values = chart.Values.filter((_, i) => i % each === 0).map(({ TS }, bar) => {
    const buckets = chart.Values.slice(bar * each, (bar + 1) * each);
    const sum = (i: number) => buckets.reduce((all, { Data }) => all + (Data[i] ?? 0), 0);
    return { TS, Data: chart.Names.map((_, i) => sum(i)) };
  });
  return each === 1 ? chart : { ...chart, Values };
}

export function timeOption(all: WireChart, kind: ChartKind, colours: Colours): Option {
  const chart = kind === 'bar' ? merged(all) : all;
  const names = chart.Names.slice(0, SERIES_SHOWN_MAX);
  const label = `Values over time of ${names.length} series`;
  if (kind === 'pie') {
    const totals = names.map((name, i) => ({
      name,
      value: chart.Values.reduce((sum, at) => sum + (at.Data[i] ?? 0), 0),
    }));
    return {
      ...base(colours, label),
      legend: legend(colours, names.length),
      series: [
        {
          type: 'pie',
          radius: ['35%', '70%'],
          bottom: names.length > 1 ? LEGEND_HEIGHT : 0,
          data: totals,
          /* Labels of slivers would lie on each other: the legend has them. */
          minShowLabelAngle: 15,
          label: { color: colours.text, formatter: '{b}: {d} %' },
        },
      ],
    };
  }
  const times = chart.Values.map((at) => new Date(at.TS).getTime());
  const stacked = kind === 'stacked' || kind === 'bar';
  return {
    ...base(colours, label),
    tooltip: {
      ...(base(colours, label)['tooltip'] as Option),
      trigger: 'axis',
      order: 'valueDesc',
      valueFormatter: number,
    },
    legend: legend(colours, names.length),
    grid: {
      left: 12,
      right: 18,
      top: 18,
      bottom: names.length > 1 ? LEGEND_HEIGHT : 8,
      containLabel: true,
    },
    xAxis: timeAxis(times, colours),
    yAxis: axis(colours, {
      type: 'value',
      scale: kind === 'line' && farFromZero(chart, names.length),
    }),
    series: names.map((name, i) => ({
      name,
      type: kind === 'bar' ? 'bar' : 'line',
      symbolSize: 5,
      sampling: 'lttb',
      ...(stacked ? { stack: 'all' } : {}),
      ...(kind === 'area' ? { areaStyle: { opacity: 0.22 } } : {}),
      ...(kind === 'stacked' ? { areaStyle: { opacity: 0.75 }, lineStyle: { width: 0.6 } } : {}),
      ...linePoints(
        times,
        chart.Values.map((at) => at.Data[i] ?? null),
      ),
    })),
  };
}

export function stackOption(stacks: WireStack[], colours: Colours): Option {
  const labels = [...new Set(stacks.flatMap((stack) => stack.Values.map((v) => v.Label)))].slice(
    0,
    SERIES_SHOWN_MAX,
  );
  return {
    ...base(colours, `${stacks.length} stacked bars`),
    legend: legend(colours, labels.length),
    grid: { left: 12, right: 18, top: 18, bottom: 34, containLabel: true },
    xAxis: axis(colours, { type: 'category', data: stacks.map((stack) => stack.Key) }),
    yAxis: axis(colours, { type: 'value' }),
    series: labels.map((label) => ({
      name: label,
      type: 'bar',
      stack: 'all',
      data: stacks.map((stack) => stack.Values.find((v) => v.Label === label)?.Value ?? 0),
    })),
  };
}

/** At least `value`, as people divide a scale: 1, 2 or 5 and noughts. */
export function roundUp(value: number): number {
  const unit = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5].find((step) => step * unit >= value) ?? 10) * unit;
}

/** For the scale of a gauge, where there is little room. */
const short = (value: number): string =>
  value.toLocaleString('en-US', { notation: 'compact', maximumFractionDigits: 1 });

export function gaugeOption(items: WireMagnitude[], colours: Colours): Option {
  const columns = Math.min(items.length, 4) || 1;
  const rows = Math.ceil(items.length / columns) || 1;
  return {
    ...base(colours, items.map((item) => `${item.Name}: ${number(item.Magnitude)}`).join(', ')),
    series: items.map((item, i) => {
      const most = item.Max > item.Min ? item.Max : roundUp(Math.max(100, item.Magnitude));
      return {
        type: 'gauge',
        min: item.Min,
        max: most,
        radius: `${Math.floor(82 / Math.max(columns / 2, rows))}%`,
        center: [
          `${((i % columns) + 0.5) * (100 / columns)}%`,
          `${(Math.floor(i / columns) + 0.55) * (100 / rows)}%`,
        ],
        progress: { show: true, itemStyle: { color: colours.accent } },
        axisLine: { lineStyle: { color: [[1, colours.line]] } },
        splitNumber: 5,
        axisLabel: { color: colours.muted, distance: 18, fontSize: 10, formatter: short },
        axisTick: { show: false },
        splitLine: { lineStyle: { color: colours.muted } },
        pointer: { itemStyle: { color: colours.accent } },
        title: { color: colours.muted, offsetCenter: [0, '88%'] },
        detail: {
          color: colours.text,
          fontSize: 20,
          offsetCenter: [0, '58%'],
          formatter: (value: number) => number(value),
        },
        data: [{ name: item.Name, value: item.Magnitude }],
      };
    }),
  };
}

/** Places on an outline of the world, which must be registered with ECharts as `world`. */
export function mapOption(
  points: [number, number, number][],
  labels: string[],
  colours: Colours,
): Option {
  const most = points.reduce((max, point) => Math.max(max, point[2]), 1);
  return {
    ...base(colours, `${points.length} places on a map of the world`),
    geo: {
      map: 'world',
      roam: true,
      silent: true,
      itemStyle: { areaColor: colours.surface, borderColor: colours.muted, borderWidth: 0.6 },
    },
    series: [
      {
        type: 'scatter',
        coordinateSystem: 'geo',
        itemStyle: { color: colours.accent, opacity: 0.65 },
        symbolSize: (value: number[]) => 6 + 18 * Math.sqrt((value[2] ?? 1) / most),
        data: points.map(([lat, long, weight], i) => ({
          name: labels[i] ?? '',
          value: [long, lat, weight],
        })),
        tooltip: {
          formatter: (item: { name: string; value: number[] }) =>
            `${item.name || `${number(item.value[1])}, ${number(item.value[0])}`}  ${number(item.value[2])}`,
        },
      },
    ],
  };
}

/** Arcs between places: the ends as points, the arcs as bent lines. */
export function arcsOption(arcs: WireArc[], colours: Colours): Option {
  const most = arcs.reduce((max, arc) => Math.max(max, arc.Magnitude), 1);
  const places = arcs.flatMap(({ Src, Dst, Magnitude }): [number, number, number][] => [
    [Src.Lat, Src.Long, Magnitude],
    [Dst.Lat, Dst.Long, Magnitude],
  ]);
  const map = mapOption(places, [], colours);
  const name = (arc: WireArc) => `${list<string>(arc.Values).join(', ')}  ${number(arc.Magnitude)}`;
  return {
    ...map,
    series: [
      {
        type: 'lines',
        coordinateSystem: 'geo',
        data: arcs.map((arc) => ({
          name: name(arc).trim(),
          coords: [
            [arc.Src.Long, arc.Src.Lat],
            [arc.Dst.Long, arc.Dst.Lat],
          ],
          lineStyle: { width: 1 + 4 * Math.sqrt(arc.Magnitude / most) },
        })),
        lineStyle: { color: colours.accent, opacity: 0.55, curveness: 0.25 },
        tooltip: { formatter: (item: { name: string }) => item.name },
      },
      {
        type: 'scatter',
        coordinateSystem: 'geo',
        silent: true,
        itemStyle: { color: colours.accent },
        symbolSize: 5,
        data: places.map(([lat, long]) => [long, lat]),
      },
    ],
  };
}

export function graphOption(graph: WireGraph, colours: Colours): Option {
  const degree = graph.nodes.map(() => 0);
  for (const link of graph.links) {
    degree[link.source] = (degree[link.source] ?? 0) + link.value;
    degree[link.target] = (degree[link.target] ?? 0) + link.value;
  }
  const most = degree.reduce((max, one) => Math.max(max, one), 1);
  const { x, y } = placesOfNodes(graph);
  return {
    ...base(colours, `A graph of ${graph.nodes.length} nodes and ${graph.links.length} links`),
    legend: legend(colours, graph.groups.length),
    series: [
      {
        type: 'graph',
        layout: 'none',
        roam: true,
        draggable: true,
        label: {
          show: graph.nodes.length <= 60,
          position: 'bottom' /* beside a node at the edge there is no room */,
          color: colours.text,
          textBorderColor: colours.surface,
          textBorderWidth: 2,
          width: 140,
          overflow: 'truncate',
        },
        lineStyle: { color: colours.muted, opacity: 0.5 },
        categories: graph.groups.map((name) => ({ name })),
        // By place: names need not differ.
        data: graph.nodes.map((node, i) => ({
          id: String(i),
          name: node.name,
          x: x[i],
          y: y[i],
          category: graph.groups.length > 0 ? node.group : undefined,
          symbolSize: 8 + 22 * Math.sqrt((degree[i] ?? 0) / most),
        })),
        links: graph.links.map((link) => ({
          source: String(link.source),
          target: String(link.target),
          value: link.value,
          lineStyle: { width: Math.min(8, 1 + Math.log2(Math.max(1, link.value))) },
        })),
      },
    ],
  };
}

/** The points of pointmap and heatmap: [latitude, longitude, weight], and a label for each. */
export function placesOf(
  renderer: string,
  data: unknown,
): { points: [number, number, number][]; labels: string[] } {
  if (renderer === 'heatmap') {
    const points = list<number[]>(data).map((item): [number, number, number] => [
      item[0] ?? 0,
      item[1] ?? 0,
      item[2] ?? 1,
    ]);
    return { points, labels: [] };
  }
  const places = list<WirePoint>(data);
  return {
    points: places.map((place): [number, number, number] => [place.Loc.Lat, place.Loc.Long, 1]),
    labels: places.map((place) =>
      list<Record<string, string>>(place.Metadata)
        .flatMap((pairs) => Object.entries(pairs).map(([key, value]) => `${key}: ${value}`))
        .join(', '),
    ),
  };
}

/** The picture of a renderer's answer; null: it is drawn otherwise, or there is nothing. */
export function optionOf(
  renderer: string,
  data: unknown,
  kind: ChartKind,
  colours: Colours,
): Option | null {
  switch (renderer) {
    case 'chart':
      return timeOption(chartOf(data), kind, colours);
    case 'stackgraph':
      return stackOption(list(data), colours);
    case 'gauge':
      return gaugeOption(list<WireMagnitude>(data).slice(0, 24), colours);
    case 'pointmap':
    case 'heatmap': {
      const { points, labels } = placesOf(renderer, data);
      return mapOption(points, labels, colours);
    }
    case 'point2point':
      return arcsOption(list(data), colours);
    case 'fdg':
      return graphOption(graphOf(data), colours);
    default:
      return null;
  }
}

export function figuresOf(renderer: string, data: unknown): Figures {
  switch (renderer) {
    case 'chart': {
      const chart = chartOf(data);
      return {
        columns: ['Time', ...chart.Names],
        rows: chart.Values.map((at) => [stampText(at.TS), ...at.Data.map(number)]),
      };
    }
    case 'stackgraph':
      return {
        columns: ['Key', 'Component', 'Value'],
        rows: list<WireStack>(data).flatMap((stack) =>
          stack.Values.map((value) => [stack.Key, value.Label, number(value.Value)]),
        ),
      };
    case 'pointmap':
    case 'heatmap': {
      const { points, labels } = placesOf(renderer, data);
      return {
        columns: ['Latitude', 'Longitude', renderer === 'heatmap' ? 'Magnitude' : 'Values'],
        rows: points.map(([lat, long, weight], i) => [
          number(lat),
          number(long),
          renderer === 'heatmap' ? number(weight) : (labels[i] ?? ''),
        ]),
      };
    }
    case 'point2point':
      return {
        columns: ['Source', 'Destination', 'Magnitude', 'Values'],
        rows: list<WireArc>(data).map((arc) => [
          `${number(arc.Src.Lat)}, ${number(arc.Src.Long)}`,
          `${number(arc.Dst.Lat)}, ${number(arc.Dst.Long)}`,
          number(arc.Magnitude),
          list<string>(arc.Values).join(', '),
        ]),
      };
    case 'fdg': {
      const graph = graphOf(data);
      return {
        columns: ['Source', 'Target', 'Value'],
        rows: graph.links.map((link) => [
          graph.nodes[link.source]?.name ?? '',
          graph.nodes[link.target]?.name ?? '',
          number(link.value),
        ]),
      };
    }
    default:
      return {
        columns: ['Name', 'Value'],
        rows: list<WireMagnitude>(data).map((item) => [item.Name, number(item.Magnitude)]),
      };
  }
}

/** How large a word is, 1 to 3.4 times the text: by the root, so that areas compare. */
export function wordScale(items: WireMagnitude[], item: WireMagnitude): number {
  const most = Math.max(1e-9, ...items.map((other) => Math.abs(other.Magnitude)));
  return 1 + 2.4 * Math.sqrt(Math.abs(item.Magnitude) / most);
}

type Ring = number[][];

/**
 * Rings of [longitude, latitude] that cross the antimeridian, as pieces that do not: on a flat map a
 * line would run through all of the world otherwise.
 */
export function cutAtAntimeridian(ring: Ring): Ring[] {
  const pieces: Ring[] = [[]];
  ring.forEach((point, i) => {
    const [long = 0, lat = 0] = point;
    const [lastLong = long, lastLat = lat] = ring[i - 1] ?? point;
    if (Math.abs(long - lastLong) > 180) {
      const side = lastLong > 0 ? 180 : -180;
      const way = 360 - Math.abs(long - lastLong);
      const at = way === 0 ? lat : lastLat + ((lat - lastLat) * Math.abs(side - lastLong)) / way;
      pieces[pieces.length - 1]?.push([side, at]);
      pieces.push([[-side, at]]);
    }
    pieces[pieces.length - 1]?.push([long, lat]);
  });
  // A ring ends where it begins: the last piece is the beginning of the first.
  const last = pieces.length > 1 ? pieces.pop() : undefined;
  if (last && pieces[0]) {
    pieces[0] = [...last, ...pieces[0]];
  }
  return pieces.filter((piece) => piece.length > 2);
}
