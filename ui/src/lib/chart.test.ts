import { describe, expect, it } from 'vitest';
import {
  chartOf,
  cutAtAntimeridian,
  figuresOf,
  graphOption,
  optionOf,
  SERIES_SHOWN_MAX,
  wordScale,
  type Colours,
} from './chart';

const COLOURS: Colours = {
  text: '#000',
  muted: '#555',
  line: '#ccc',
  surface: '#fff',
  accent: '#06c',
  series: ['#111', '#222'],
  font: 'sans-serif',
};
const CHART = {
  Names: ['web9', 'db2'],
  Values: [
    { TS: '2026-05-04T08:00:00Z', Data: [12, 3.5] },
    { TS: '2026-05-04T08:01:00Z', Data: [9, null] },
  ],
};

interface Series {
  name: string;
  type: string;
  stack?: string;
  showSymbol?: boolean;
  data: unknown[];
}
const seriesOf = (option: unknown) => (option as { series: Series[] }).series;

describe('a chart', () => {
  it('has a line per name, and no value where there is none', () => {
    const series = seriesOf(optionOf('chart', CHART, 'line', COLOURS));
    expect(series.map((one) => one.name)).toEqual(['web9', 'db2']);
    expect(series[0]?.data).toEqual([
      [Date.UTC(2026, 4, 4, 8), 12],
      [Date.UTC(2026, 4, 4, 8, 1), 9],
    ]);
    expect(series[0]?.showSymbol).toBe(false);
  });

  it('shows a value to which no line leads as a dot', () => {
    const [, alone] = seriesOf(optionOf('chart', CHART, 'line', COLOURS));
    expect(alone).toMatchObject({ showSymbol: true, symbol: 'none' });
    expect(alone?.data).toEqual([
      { value: [Date.UTC(2026, 4, 4, 8), 3.5], symbol: 'circle' },
      [Date.UTC(2026, 4, 4, 8, 1), null],
    ]);
  });

  it('of one time is two minutes wide', () => {
    const at = Date.parse('2026-01-02T10:00:00Z');
    const one = { Names: ['a'], Values: [{ TS: '2026-01-02T10:00:00Z', Data: [1] }] };
    const axis = optionOf('chart', one, 'line', COLOURS)?.['xAxis'];
    expect(axis).toMatchObject({ min: at - 60_000, max: at + 60_000 });
  });

  it('of lines far from zero shows how they move', () => {
    const of = (...values: (number | null)[]) => ({
      Names: ['a'],
      Values: values.map((value, i) => ({ TS: `2026-01-02T10:0${i}:00Z`, Data: [value] })),
    });
    const scaled = (data: unknown, kind: 'line' | 'area' | 'bar') =>
      (optionOf('chart', data, kind, COLOURS)?.['yAxis'] as { scale: boolean }).scale;
    expect(scaled(of(18_850_000, null, 18_880_000), 'line')).toBe(true);
    expect(scaled(of(18_850_000, null, 18_880_000), 'area')).toBe(false);
    expect(scaled(of(18_850_000, null, 18_880_000), 'bar')).toBe(false);
    expect(scaled(of(70, 100), 'line')).toBe(false);
    expect(scaled(of(0, 100), 'line')).toBe(false);
    expect(scaled(of(-3, 100), 'line')).toBe(false);
    expect(scaled(of(5, 5), 'line')).toBe(false);
  });

  it('is a pie of sums', () => {
    const [pie] = seriesOf(optionOf('chart', CHART, 'pie', COLOURS));
    expect(pie?.data).toEqual([
      { name: 'web9', value: 21 },
      { name: 'db2', value: 3.5 },
    ]);
    // Above its legend, and slivers are named only there.
    expect(pie).toMatchObject({ bottom: 34, minShowLabelAngle: 15 });
  });

  it('of more buckets than bars can be seen has bars of several, if they add up', () => {
    const Values = Array.from({ length: 1001 }, (_, i) => ({
      TS: new Date(Date.UTC(2026, 4, 4, 8, i)).toISOString(),
      Data: [1, i % 2],
    }));
    const bars = (data: unknown) =>
      seriesOf(optionOf('chart', data, 'bar', COLOURS)).map(({ data }) => data as number[][]);
    const [ones, halves] = bars({ Names: ['a', 'b'], Values, adds: true });
    expect(ones).toHaveLength(334);
    expect(ones?.[1]).toEqual([Date.UTC(2026, 4, 4, 8, 3), 3]);
    expect(ones?.[333]?.[1]).toBe(2);
    expect(halves?.[0]?.[1]).toBe(1);
    expect(bars({ Names: ['a', 'b'], Values })[0]).toHaveLength(1001);
    const lines = seriesOf(
      optionOf('chart', { Names: ['a'], Values, adds: true }, 'line', COLOURS),
    );
    expect(lines[0]?.data).toHaveLength(1001);
  });

  it('shows so many series as can be told apart', () => {
    const names = Array.from({ length: 10_000 }, (_, i) => `s${i}`);
    const many = {
      Names: names,
      Values: [{ TS: '2026-05-04T08:00:00Z', Data: names.map(() => 1) }],
    };
    expect(seriesOf(optionOf('chart', many, 'bar', COLOURS))).toHaveLength(SERIES_SHOWN_MAX);
    expect(figuresOf('chart', many).columns).toHaveLength(10_001);
  });

  it('bears an answer without anything', () => {
    for (const data of [null, undefined, {}, { Names: null, Values: null }]) {
      expect(chartOf(data)).toEqual({ Names: [], Values: [] });
      expect(seriesOf(optionOf('chart', data, 'area', COLOURS))).toEqual([]);
    }
    for (const renderer of ['stackgraph', 'gauge', 'pointmap', 'heatmap', 'fdg']) {
      expect(optionOf(renderer, null, 'line', COLOURS)).not.toBeNull();
      expect(figuresOf(renderer, null).rows).toEqual([]);
    }
  });
});

describe('other pictures', () => {
  it('stack by component, with nothing where a key lacks one', () => {
    const data = [
      { Key: 'web9', Values: [{ Label: '200', Value: 812 }] },
      { Key: 'web8', Values: [{ Label: '500', Value: 4 }] },
    ];
    expect(seriesOf(optionOf('stackgraph', data, 'line', COLOURS)).map((one) => one.data)).toEqual([
      [812, 0],
      [0, 4],
    ]);
  });

  it('have a scale of round numbers where none is given', () => {
    const gauge = (most: number, max: number) =>
      seriesOf(
        optionOf('gauge', [{ Name: 'm', Magnitude: most, Min: 0, Max: max }], 'line', COLOURS),
      )[0] as unknown as { max: number; axisLabel: { formatter(value: number): string } };
    expect(gauge(294_425.328_474, 0).max).toBe(500_000);
    expect(gauge(3, 0).max).toBe(100);
    expect(gauge(3, 7).max).toBe(7);
    expect(gauge(3, 0).axisLabel.formatter(400_000)).toBe('400K');
  });

  it('keep nodes of one name apart', () => {
    const nodes = [
      { name: 'a', group: 0 },
      { name: 'a', group: 0 },
    ];
    const [graph] = seriesOf(
      graphOption({ nodes, links: [{ value: 2, source: 0, target: 1 }], groups: [] }, COLOURS),
    );
    expect(graph?.data.map((node) => (node as { id: string }).id)).toEqual(['0', '1']);
  });

  it('say what a place means', () => {
    const data = [{ Loc: { Lat: 50.1, Long: 14.4 }, Metadata: [{ host: 'web9' }, { ms: '3' }] }];
    expect(figuresOf('pointmap', data).rows).toEqual([['50.1', '14.4', 'host: web9, ms: 3']]);
    expect(
      figuresOf('heatmap', [
        [1, 2],
        [3, 4, 5],
      ]).rows,
    ).toEqual([
      ['1', '2', '1'],
      ['3', '4', '5'],
    ]);
  });

  it('write large what is much', () => {
    const word = (Magnitude: number) => ({ Name: 'w', Magnitude, Min: 0, Max: 0 });
    const words = [word(100), word(25), word(0)];
    expect(words.map((one) => wordScale(words, one))).toEqual([3.4, 2.2, 1]);
  });
});

describe('the antimeridian', () => {
  it('cuts a ring that crosses it into pieces on either side', () => {
    const ring = [
      [170, 60],
      [-170, 60],
      [-170, 50],
      [170, 50],
      [170, 60],
    ];
    const pieces = cutAtAntimeridian(ring);
    expect(pieces).toHaveLength(2);
    for (const piece of pieces) {
      const sides = new Set(piece.map(([long = 0]) => Math.sign(long)));
      expect(sides.size).toBe(1);
    }
  });

  it('leaves other rings alone', () => {
    const ring = [
      [0, 0],
      [10, 0],
      [10, 10],
      [0, 0],
    ];
    expect(cutAtAntimeridian(ring)).toEqual([ring]);
  });
});

describe('arcs between places', () => {
  const arcs = [
    { Src: { Lat: 50, Long: 14 }, Dst: { Lat: 40, Long: -74 }, Magnitude: 3, Values: ['<b>'] },
    { Src: { Lat: 50, Long: 14 }, Dst: { Lat: -33, Long: 151 }, Magnitude: 1 },
  ];

  it('have both ends, and are there as figures', () => {
    const option = optionOf('point2point', arcs, 'line', {
      text: '',
      muted: '',
      line: '',
      surface: '',
      accent: '',
      font: '',
      series: [],
    });
    const [lines] = option?.['series'] as { data: { coords: number[][] }[] }[];
    expect(lines?.data[0]?.coords).toEqual([
      [14, 50],
      [-74, 40],
    ]);
    expect(figuresOf('point2point', arcs).rows[0]).toEqual(['50, 14', '40, -74', '3', '<b>']);
    expect(figuresOf('point2point', null).rows).toEqual([]);
  });
});
