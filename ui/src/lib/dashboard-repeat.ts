/*
 * Tiles that are there once for each value of a variable (`Tile.repeat`). The copies stand beside
 * and below the tile they are made of, in its size, and push what is there down; they are only
 * looked at, what is edited is the one tile.
 */
import type { Tile } from './dashboard';
import { arranged, COLUMNS } from './dashboard-grid';
import { manyOf, titleWith, type Values, type Variable } from './dashboard-variables';

export const COPIES_MAX = 40;
/** The number of a copy is that of its tile and so much for each one before it. */
const COPY_STEP = 1e13;

export interface Copy extends Tile {
  /** The tile that it is made of. */
  of: Tile;
  /** The values that its query gets. */
  values: Values;
}

function copiesOf(tile: Tile, variables: readonly Variable[], values: Values): Copy[] {
  const named = (own: Values) => titleWith(tile.title, variables, own);
  const variable = variables.find(({ name }) => name === tile.repeat);
  const each = variable ? manyOf(values[variable.name] ?? '').slice(0, COPIES_MAX) : [];
  if (!variable || each.length === 0) {
    return [{ ...tile, title: named(values), of: tile, values }];
  }
  const across = Math.max(1, Math.floor((COLUMNS - tile.span.x) / tile.span.w));
  return each.map((value, i) => {
    const own = { ...values, [variable.name]: value };
    const title = named(own);
    return {
      ...tile,
      id: tile.id + i * COPY_STEP,
      title: title === tile.title && each.length > 1 ? `${title}: ${value}` : title,
      span: {
        ...tile.span,
        x: tile.span.x + (i % across) * tile.span.w,
        y: tile.span.y + Math.floor(i / across) * tile.span.h,
      },
      of: tile,
      values: own,
    };
  });
}

/** The tile that is edited when somebody wants to change this one. */
export function originalOf(tile: Tile): Tile {
  return 'of' in tile ? (tile as Copy).of : tile;
}

/** The tiles as they are looked at. */
export function repeated(
  tiles: readonly Tile[],
  variables: readonly Variable[],
  values: Values,
): Copy[] {
  const copies = tiles.map((tile) => copiesOf(tile, variables, values));
  const all = copies.flat();
  if (all.length === tiles.length) {
    return all;
  }
  // What stands below a tile that needs more rows goes down by as many.
  const more = copies.map((some, i) => {
    const [y, h] = [tiles[i]?.span.y ?? 0, tiles[i]?.span.h ?? 0];
    return { bottom: y + h, rows: (some.at(-1)?.span.y ?? y) - y };
  });
  const lowered = copies.flatMap((some, i) => {
    const top = tiles[i]?.span.y ?? 0;
    const by = more.reduce((sum, one) => sum + (top >= one.bottom ? one.rows : 0), 0);
    return some.map((one) => ({ ...one, span: { ...one.span, y: one.span.y + by } }));
  });
  return arranged(lowered);
}
