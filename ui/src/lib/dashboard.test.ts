import { describe, expect, it } from 'vitest';
import {
  addedTo,
  bodyOf,
  newTile,
  rangeOf,
  readBoard,
  TILES_MAX,
  withCopy,
  withoutTile,
  withTile,
  writeBoard,
} from './dashboard';
import { readTimeframe, writeTimeframe } from './dashboard-time';
import { newVariable } from './dashboard-variables';
import { DAY, HOUR, MINUTE, type TimeRange } from './time';
import type { DashboardData } from './types';

/** As another front end writes it. */
const OTHER = {
  searches: [
    {
      alias: 'errors',
      query: 'tag=web grep error',
      timeframe: { durationString: 'PT15M', timeframe: 'PT15M', start: '', end: '' },
      searchID: 770021934517,
    },
    { alias: 'hosts', query: 'tag=web stats count by host | chart count by host', searchID: 2 },
  ],
  tiles: [
    {
      id: 11,
      title: 'Errors',
      renderer: 'text',
      span: { col: 4, row: 6, x: 8, y: 0 },
      searchesIndex: 0,
      hideTitle: true,
    },
    {
      id: 12,
      title: 'Hosts',
      renderer: 'areachart',
      rendererOptions: { Stack: 'stacked', Smoothing: 'normal' },
      span: { col: 8, row: 6, x: 0, y: 0 },
      searchesIndex: 1,
    },
  ],
  timeframe: { durationString: 'PT1H', timeframe: 'PT1H', start: null, end: null },
  grid: { gutter: 10 },
  version: 2,
  lastDataUpdate: '2026-05-04T09:30:00Z',
  linkZooming: true,
  liveUpdateInterval: 60,
} as unknown as DashboardData;

describe('a dashboard', () => {
  it('of another front end is understood', () => {
    const board = readBoard(OTHER);
    expect(board.range).toEqual({ kind: 'last', ms: HOUR });
    expect(board.refreshSeconds).toBe(60);
    expect(board.tiles).toMatchObject([
      {
        id: 11,
        title: 'Errors',
        view: 'auto',
        range: { kind: 'last', ms: 15 * MINUTE },
        span: { x: 8, y: 0, w: 4, h: 6 },
      },
      { id: 12, title: 'Hosts', view: 'stackedchart', range: null, span: { x: 0, w: 8 } },
    ]);
  });

  it('is written with all that another front end put into it', () => {
    const written = writeBoard(readBoard(OTHER)) as Record<string, unknown>;
    expect(written).toMatchObject({
      grid: { gutter: 10 },
      linkZooming: true,
      lastDataUpdate: '2026-05-04T09:30:00Z',
      liveUpdateInterval: 60,
      searches: [{ searchID: 770021934517, timeframe: { timeframe: 'PT15M' } }, { searchID: 2 }],
      tiles: [
        { id: 11, hideTitle: true, renderer: 'text', span: { col: 4, row: 6, x: 8, y: 0 } },
        { renderer: 'areachart', rendererOptions: { Stack: 'stacked', Smoothing: 'normal' } },
      ],
    });
    expect(writeBoard(readBoard(written as DashboardData))).toEqual(written);
  });

  it('can be shown otherwise and keeps the options that still make sense', () => {
    const board = readBoard(OTHER);
    const hosts = board.tiles[1];
    const changed = writeBoard(withTile(board, { ...hosts!, view: 'piechart' }));
    expect(changed.tiles?.[1]).toMatchObject({
      renderer: 'piechart',
      rendererOptions: { Smoothing: 'normal' },
    });
    expect(readBoard(changed).tiles[1]?.view).toBe('piechart');
  });

  it('shows a query in the way that was chosen, if that fits it', () => {
    expect(bodyOf('auto', 'text').body).toBe('both');
    expect(bodyOf('entries', 'hex').body).toBe('entries');
    expect(bodyOf('piechart', 'text').body).toBe('both');
    expect(bodyOf('piechart', 'chart')).toEqual({ body: 'picture', kind: 'pie' });
    expect(bodyOf('piechart', 'gauge')).toEqual({ body: 'picture', kind: 'line' });
    expect(bodyOf('figures', 'chart').body).toBe('figures');
    expect(bodyOf('figures', 'table').body).toBe('table');
    expect(bodyOf('number', 'chart').body).toBe('number');
  });

  it('goes there and back with everything this page can say', () => {
    const empty = readBoard({});
    const tile = newTile(empty, 'T', 'tag=a $x');
    const board = {
      ...withTile(empty, {
        ...tile,
        view: 'number' as const,
        range: { kind: 'all' } as TimeRange,
        saved: 'guid',
      }),
      range: { kind: 'absolute', from: 1000, to: 2000 } as TimeRange,
      refreshSeconds: 30,
      variables: [newVariable('x')],
    };
    const again = readBoard(JSON.parse(JSON.stringify(writeBoard(board))) as DashboardData);
    expect(again).toMatchObject({
      tiles: [{ title: 'T', query: 'tag=a $x', view: 'number', range: { kind: 'all' } }],
      range: { kind: 'absolute', from: 1000, to: 2000 },
      refreshSeconds: 30,
      variables: [newVariable('x')],
    });
    expect(again.tiles[0]?.saved).toBe('guid');
  });

  it('shows what was added, in order, under different ids', () => {
    let data = addedTo({}, 'Errors', 'tag=web grep error', { kind: 'all' });
    data = addedTo(data, 'All', 'tag=*', { kind: 'last', ms: 1000 });
    expect(readBoard(data).tiles.map(({ title, query }) => ({ title, query }))).toEqual([
      { title: 'Errors', query: 'tag=web grep error' },
      { title: 'All', query: 'tag=*' },
    ]);
    expect(rangeOf(data)).toEqual({ kind: 'all' });
    expect(new Set(data.tiles?.map((tile) => tile.id)).size).toBe(2);
  });

  it('copies and removes tiles', () => {
    const board = readBoard(OTHER);
    const copied = withCopy(board, 12);
    expect(copied.tiles.map((tile) => tile.title)).toEqual(['Errors', 'Hosts', 'Hosts (copy)']);
    expect(copied.tiles[2]).toMatchObject({ id: 13, view: 'stackedchart', span: { w: 8, h: 6 } });
    expect(withoutTile(copied, 12).tiles[1]?.span.y).toBe(0);
    expect(withCopy(board, 99)).toBe(board);
  });

  it('keeps what cannot be understood, as long as nobody changes it', () => {
    const odd = {
      timeframe: { timeframe: 'TODAY' },
      liveUpdateInterval: { every: 'minute' },
      variables: { host: 'a' },
      searches: [{ alias: 'a', query: 'tag=a', timeframe: { timeframe: 'YESTERDAY' } }],
      tiles: [{ id: 1, searchesIndex: 0 }],
    } as unknown as DashboardData;
    const board = readBoard(odd);
    expect(writeBoard(board)).toMatchObject({
      timeframe: { timeframe: 'TODAY' },
      liveUpdateInterval: { every: 'minute' },
      variables: { host: 'a' },
      searches: [{ timeframe: { timeframe: 'YESTERDAY' } }],
    });
    expect(writeBoard({ ...board, range: { kind: 'all' } }).timeframe?.timeframe).toBe('all');
  });

  it('keeps tiles that are too many to be shown', () => {
    const many = Array.from({ length: TILES_MAX + 3 }, (_, i) => ({
      alias: `${i}`,
      query: 'tag=a',
    }));
    const board = readBoard({ searches: many });
    expect(board.tiles).toHaveLength(TILES_MAX);
    const written = writeBoard(withoutTile(board, board.tiles[0]!.id));
    expect(written.searches).toHaveLength(TILES_MAX + 2);
    const last = written.tiles?.[TILES_MAX + 1];
    expect(written.searches?.[last!.searchesIndex]?.alias).toBe(`${TILES_MAX + 2}`);
  });

  it('whose searches all say its own time range has tiles that follow it', () => {
    const hour = { timeframe: 'PT1H' };
    const data = { timeframe: hour, searches: [{ alias: '', query: 'a', timeframe: hour }] };
    const board = readBoard(data as DashboardData);
    expect(board.tiles[0]?.range).toBeNull();
    const own = withTile(board, { ...board.tiles[0]!, range: { kind: 'last', ms: HOUR } });
    expect(readBoard(writeBoard(own)).tiles[0]?.range).toEqual({ kind: 'last', ms: HOUR });
  });

  it('of an older version, or of any shape at all, is borne', () => {
    const old = { searches: [{ alias: 'a', query: 'tag=a' }], tiles: [], version: 1 };
    expect(readBoard(old).tiles).toMatchObject([{ title: 'a', query: 'tag=a' }]);
    const odd = [null, undefined, {}, { searches: 5 }, { tiles: [null] }, { tiles: [{}] }, [], 'x'];
    for (const data of odd) {
      expect(readBoard(data as DashboardData).tiles).toEqual([]);
      expect(rangeOf(data as DashboardData)).toEqual({ kind: 'last', ms: DAY });
    }
    const lost = readBoard({ searches: 'none', tiles: [{ id: 'x', searchesIndex: 99 }] } as never);
    expect(lost.tiles).toMatchObject([{ id: 1, query: '' }]);
    const twice = { tiles: [{ id: 1 }, { id: 1 }], searches: [] } as unknown as DashboardData;
    expect(readBoard(twice).tiles.map((tile) => tile.id)).toEqual([1, 2]);
  });
});

describe('a time frame', () => {
  it('goes there and back', () => {
    const ranges: TimeRange[] = [
      { kind: 'all' },
      { kind: 'last', ms: 15 * MINUTE },
      { kind: 'last', ms: DAY },
      { kind: 'last', ms: 90_000 },
      { kind: 'absolute', from: 1000, to: 61_000 },
    ];
    for (const range of ranges) {
      expect(readTimeframe(writeTimeframe(range))).toEqual(range);
    }
  });

  it('is read in the words of others', () => {
    const read = (timeframe: string) => readTimeframe({ timeframe });
    expect(read('24h')).toEqual({ kind: 'last', ms: DAY });
    expect(read('P1DT12H')).toEqual({ kind: 'last', ms: 36 * HOUR });
    expect(read('P2W')).toEqual({ kind: 'last', ms: 14 * DAY });
    for (const text of ['', 'P', 'PT', 'P999999Y', 'TODAY', '<b>']) {
      expect(read(text)).toBeNull();
    }
    expect(readTimeframe({ timeframe: 'CUSTOM', start: 'x', end: '' })).toBeNull();
    expect(readTimeframe(7)).toBeNull();
  });
});
