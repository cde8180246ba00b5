/*
 * A dashboard's `Data`: searches, and tiles that show them. It belongs to front ends alone, and
 * there are several: members that this page does not know are kept as they are, and missing ones
 * are borne.
 */
import { DAY, DEFAULT_RANGE, rangeFromText, rangeToText, type TimeRange } from './time';
import type { DashboardData } from './types';

export interface Tile {
  title: string;
  query: string;
}

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
  const searches = Array.isArray(data.searches) ? data.searches : [];
  const tiles = Array.isArray(data.tiles) ? data.tiles : [];
  const id = tiles.reduce((most, tile) => Math.max(most, Number(tile.id) || 0), 0) + 1;
  return {
    version: 2,
    ...data,
    timeframe: data.timeframe ?? { durationString: '', timeframe: rangeToText(range) },
    searches: [...searches, { alias: title, query }],
    tiles: [...tiles, { id, title, renderer: 'text', searchesIndex: searches.length }],
  };
}

/**
 * What is to be shown; a tile whose search is gone is left out, a search without a tile is shown,
 * too.
 */
export function tilesOf(data: DashboardData | null | undefined): Tile[] {
  const searches = Array.isArray(data?.searches) ? data.searches : [];
  const tiles = Array.isArray(data?.tiles) ? data.tiles : [];
  const shown = new Set<number>();
  const result: Tile[] = [];
  for (const tile of tiles) {
    const query = searches[tile?.searchesIndex]?.query;
    if (typeof query === 'string') {
      shown.add(tile.searchesIndex);
      result.push({ title: String(tile.title ?? query), query });
    }
  }
  searches.forEach((search, index) => {
    if (!shown.has(index) && typeof search?.query === 'string') {
      result.push({ title: String(search.alias ?? search.query), query: search.query });
    }
  });
  return result;
}

/** The range that a dashboard asks for; other front ends write theirs in words of their own. */
export function rangeOf(data: DashboardData | null | undefined): TimeRange {
  const text = data?.timeframe?.timeframe;
  if (typeof text !== 'string') {
    return { kind: 'last', ms: DAY };
  }
  return rangeFromText(text) ?? DEFAULT_RANGE;
}
