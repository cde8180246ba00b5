/*
 * A dashboard's `Data`: searches, and tiles that show them. It belongs to front ends alone, and
 * there are several: members that this page does not know are kept as they are, and missing ones
 * are borne. docs/dashboards.md says which members there are.
 *
 * readBoard() makes of it what this page works with, writeBoard() turns that back; what cannot be
 * understood costs nothing but itself.
 */
import { arranged, DEFAULT_SIZE, firstFree, fitted, type Span } from './dashboard-grid';
import type { ChartKind } from './chart';
import { readTimeframe, writeTimeframe } from './dashboard-time';
import { readVariables, type Variable } from './dashboard-variables';
import { DAY, sameRange, type TimeRange } from './time';
import type { DashboardData } from './types';

/** How a tile shows what its query ends in. What does not fit the query is shown as `auto`. */
export const VIEWS = [
  { view: 'auto', label: 'As the query says' },
  { view: 'overview', label: 'Count over time' },
  { view: 'entries', label: 'Entries' },
  { view: 'number', label: 'Number of entries' },
  { view: 'linechart', label: 'Lines' },
  { view: 'areachart', label: 'Areas' },
  { view: 'stackedchart', label: 'Stacked areas' },
  { view: 'columnchart', label: 'Bars' },
  { view: 'piechart', label: 'Pie' },
  { view: 'figures', label: 'Figures' },
] as const;
export type View = (typeof VIEWS)[number]['view'];

type Members = Record<string, unknown>;

export interface Tile {
  id: number;
  title: string;
  query: string;
  view: View;
  /** Its own; null: the dashboard's. */
  range: TimeRange | null;
  /** The saved query whose text is shown, by its GUID; `query` is what it was last. */
  saved: string | null;
  /** There once for each value of the variable of this name; empty: once. */
  repeat: string;
  span: Span;
  /** Members of the tile and of its search that are not ours. */
  rest: Members;
  search: Members;
}

export interface Board {
  tiles: Tile[];
  range: TimeRange;
  /** Automatic refresh; 0: off. */
  refreshSeconds: number;
  variables: Variable[];
  rest: Members;
  /** Beyond what a page can show; kept as they are. */
  surplus: Raw[];
}

/** A tile and its search as they are stored. */
interface Raw {
  tile: Members;
  search: Members;
}

/** What is drawn of a query's results, and which kind of chart if it is one. */
export type Body = 'overview' | 'entries' | 'both' | 'number' | 'table' | 'picture' | 'figures';

const CHARTS: Partial<Record<View, ChartKind>> = {
  linechart: 'line',
  areachart: 'area',
  stackedchart: 'stacked',
  columnchart: 'bar',
  piechart: 'pie',
};

const ENTRIES = new Set(['', 'text', 'raw', 'hex', 'pcap']);

export function bodyOf(view: View, renderer: string): { body: Body; kind: ChartKind } {
  const kind = (renderer === 'chart' && CHARTS[view]) || 'line';
  if (view === 'overview' || view === 'number') {
    return { body: view, kind };
  }
  if (ENTRIES.has(renderer)) {
    return { body: view === 'entries' ? 'entries' : 'both', kind };
  }
  if (renderer === 'table') {
    return { body: 'table', kind };
  }
  return { body: view === 'figures' ? 'figures' : 'picture', kind };
}

/** A board and what else a dashboard says of itself: what is edited as one. */
export interface Draft {
  name: string;
  description: string;
  labels: string[];
  board: Board;
}

export const TILES_MAX = 200;
const REFRESH_SECONDS_MAX = 86_400;
const RANGE_OTHERWISE: TimeRange = { kind: 'last', ms: DAY };
const VERSION = 2;

/** Names that other front ends have for our views. */
const ALIASES: Record<string, View> = { barchart: 'columnchart', donut: 'piechart' };

function members(value: unknown): Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? { ...(value as Members) }
    : {};
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

function without(from: Members, ...names: string[]): Members {
  return Object.fromEntries(Object.entries(from).filter(([name]) => !names.includes(name)));
}

function viewOf(renderer: unknown, options: unknown): View {
  const stack = members(options)['Stack'];
  if (renderer === 'areachart' && (stack === 'stacked' || stack === true)) {
    return 'stackedchart';
  }
  const known = VIEWS.find(({ view }) => view === renderer);
  return known?.view ?? ALIASES[String(renderer)] ?? 'auto';
}

function spanOf(value: unknown): Span | null {
  const span = members(value);
  const [w, h, x, y] = [span['col'], span['row'], span['x'], span['y']].map(Number);
  return w && h && w > 0 && h > 0 ? fitted({ w, h, x: x ?? 0, y: y ?? 0 }) : null;
}

function savedOf(reference: unknown): string | null {
  const { id, type } = members(reference);
  const plain = type === undefined || String(type).toLowerCase().includes('quer');
  return typeof id === 'string' && id !== '' && plain ? id : null;
}

function tileOf(tile: Members, search: Members): Omit<Tile, 'id' | 'span'> {
  const query = typeof search['query'] === 'string' ? search['query'] : '';
  const title = tile['title'] ?? search['alias'] ?? query;
  return {
    title: typeof title === 'string' ? title : String(title as number),
    query,
    view: viewOf(tile['renderer'], tile['rendererOptions']),
    range: readTimeframe(search['timeframe']),
    saved: savedOf(search['reference']),
    repeat: typeof tile['repeat'] === 'string' ? tile['repeat'] : '',
    rest: without(tile, 'id', 'title', 'span', 'searchesIndex', 'repeat'),
    search: without(search, 'alias', 'query'),
  };
}

/** Never fails. A search without a tile is shown, too; a tile whose search is gone has no query. */
export function readBoard(data: DashboardData | null | undefined): Board {
  const all = members(data);
  const searches = list(all['searches']).map(members);
  const shown = new Set<number>();
  const raw: Raw[] = [];
  for (const tile of list(all['tiles']).map(members)) {
    const index = Number(tile['searchesIndex'] ?? -1);
    const search = searches[index];
    if (search || Object.keys(tile).length > 0) {
      shown.add(index);
      raw.push({ tile, search: search ?? {} });
    }
  }
  searches.forEach((search, index) => {
    if (!shown.has(index) && typeof search['query'] === 'string') {
      raw.push({ tile: {}, search });
    }
  });
  const range = readTimeframe(all['timeframe']);
  const refreshSeconds = refreshOf(all['liveUpdateInterval']);
  const variables = readVariables(all['variables']);
  const understood = [
    ...(range ? ['timeframe'] : []),
    ...(refreshSeconds > 0 || !all['liveUpdateInterval'] ? ['liveUpdateInterval'] : []),
    ...(variables.length > 0 ? ['variables'] : []),
  ];
  return {
    tiles: placed(raw.slice(0, TILES_MAX)).map((tile) => following(tile, range)),
    range: range ?? RANGE_OTHERWISE,
    refreshSeconds,
    variables,
    rest: without(all, 'searches', 'tiles', 'version', ...understood),
    surplus: raw.slice(TILES_MAX),
  };
}

/** Other front ends write the dashboard's range into each search: that is none of its own. */
function following(tile: Tile, range: TimeRange | null): Tile {
  const own = members(tile.search['timeframe'])['own'] === true;
  return tile.range && range && !own && sameRange(tile.range, range)
    ? { ...tile, range: null }
    : tile;
}

function placed(raw: Raw[]): Tile[] {
  const ids = new Set<number>();
  let next = raw.reduce((most, { tile }) => Math.max(most, Number(tile['id']) || 0), 0) + 1;
  const taken: Span[] = raw.flatMap(({ tile }) => spanOf(tile['span']) ?? []);
  return arranged(
    raw.map(({ tile, search }) => {
      const own = Number(tile['id']);
      const id = Number.isSafeInteger(own) && own >= 0 && !ids.has(own) ? own : next++;
      ids.add(id);
      let span = spanOf(tile['span']);
      if (!span) {
        span = firstFree(taken, DEFAULT_SIZE);
        taken.push(span);
      }
      return { ...tileOf(tile, search), id, span };
    }),
  );
}

function refreshOf(value: unknown): number {
  const seconds = Math.round(Number(value));
  return seconds >= 5 && seconds <= REFRESH_SECONDS_MAX ? seconds : 0;
}

function rendererOf(tile: Tile): { renderer: string; options: Members | undefined } {
  const before = tile.rest['renderer'];
  const options = tile.rest['rendererOptions'];
  if (viewOf(before, options) === tile.view) {
    return {
      renderer: typeof before === 'string' ? before : 'text',
      options: options === undefined ? undefined : members(options),
    };
  }
  const kept = without(members(options), 'Stack');
  return {
    renderer: tile.view === 'auto' ? 'text' : tile.view,
    options: Object.keys(kept).length > 0 ? kept : undefined,
  };
}

function searchOf(tile: Tile): { alias: string; query: string } & Members {
  const unread = tile.search['timeframe'];
  const foreign = unread !== undefined && !readTimeframe(unread);
  return {
    ...without(tile.search, 'timeframe', 'reference'),
    alias: tile.title,
    query: tile.query,
    ...(tile.range
      ? { timeframe: { ...writeTimeframe(tile.range), own: true } }
      : foreign
        ? { timeframe: unread }
        : {}),
    ...(tile.saved
      ? {
          reference: { type: 'savedQuery', ...members(tile.search['reference']), id: tile.saved },
        }
      : {}),
  };
}

export function writeBoard(board: Board): DashboardData {
  const { rest, tiles, surplus } = board;
  const untouched = rest['timeframe'] !== undefined && sameRange(board.range, RANGE_OTHERWISE);
  const written = {
    ...rest,
    version: VERSION,
    ...(untouched ? {} : { timeframe: writeTimeframe(board.range) }),
    ...(board.refreshSeconds > 0 ? { liveUpdateInterval: board.refreshSeconds } : {}),
    ...(board.variables.length > 0 ? { variables: board.variables } : {}),
    searches: [...tiles.map(searchOf), ...surplus.map((raw) => raw.search)],
    tiles: [
      ...tiles.map((tile, index) => {
        const { renderer, options } = rendererOf(tile);
        const { w, h, x, y } = tile.span;
        return {
          ...without(tile.rest, 'rendererOptions'),
          id: tile.id,
          title: tile.title,
          renderer,
          span: { col: w, row: h, x, y },
          searchesIndex: index,
          ...(tile.repeat ? { repeat: tile.repeat } : {}),
          ...(options ? { rendererOptions: options } : {}),
        };
      }),
      ...surplus.map((raw, i) => ({ ...raw.tile, searchesIndex: tiles.length + i })),
    ],
  };
  return written as DashboardData;
}

/* ---- changes; each gives a new board ---- */

export function newTile(board: Board, title: string, query: string): Tile {
  const id = board.tiles.reduce((most, tile) => Math.max(most, tile.id), 0) + 1;
  const span = firstFree(
    board.tiles.map((tile) => tile.span),
    DEFAULT_SIZE,
  );
  return {
    id,
    title,
    query,
    view: 'auto',
    range: null,
    saved: null,
    repeat: '',
    span,
    rest: {},
    search: {},
  };
}

/** Adds the tile, or puts it in the place of the one with its id. */
export function withTile(board: Board, tile: Tile): Board {
  const there = board.tiles.some((one) => one.id === tile.id);
  const tiles = there
    ? board.tiles.map((one) => (one.id === tile.id ? tile : one))
    : [...board.tiles, tile];
  return { ...board, tiles: arranged(tiles, tile.id) };
}

export function withoutTile(board: Board, id: number): Board {
  return { ...board, tiles: arranged(board.tiles.filter((tile) => tile.id !== id)) };
}

/** The copy stands where there is room for it. */
export function withCopy(board: Board, id: number): Board {
  const tile = board.tiles.find((one) => one.id === id);
  if (!tile) {
    return board;
  }
  const fresh = newTile(board, `${tile.title} (copy)`, tile.query);
  const { w, h } = tile.span;
  const span = firstFree(
    board.tiles.map((one) => one.span),
    { w, h },
  );
  return withTile(board, { ...tile, id: fresh.id, title: fresh.title, span });
}

/* ---- for pages that do not edit ---- */

/**
 * The same dashboard with one more search and a tile for it. The first search brings the time
 * range.
 */
export function addedTo(
  data: DashboardData,
  title: string,
  query: string,
  range: TimeRange,
): DashboardData {
  const board = readBoard(data);
  const first = members(data)['timeframe'] === undefined;
  const made = withTile(board, newTile(board, title, query));
  return writeBoard(first ? { ...made, range } : made);
}

/** The range that a dashboard asks for; other front ends write theirs in words of their own. */
export function rangeOf(data: DashboardData | null | undefined): TimeRange {
  return readBoard(data).range;
}
