/*
 * Where the tiles of a dashboard stand: a grid of COLUMNS cells across and as many down as needed.
 * Nothing overlaps and nothing floats: a tile that is moved or resized pushes others down, and all
 * of them rise as far as they can. On a phone the tiles stand in one column, in reading order.
 */
export const COLUMNS = 12;
export const ROW_PX = 36;
export const GAP_PX = 12;
export const WIDTH_MIN = 2;
export const HEIGHT_MIN = 3;
export const HEIGHT_MAX = 60;
const Y_MAX = 10_000;

/** Cells: the upper left corner, width and height. */
export interface Span {
  x: number;
  y: number;
  w: number;
  h: number;
}

export interface Placed {
  id: number;
  span: Span;
}

export const DEFAULT_SIZE = { w: 6, h: 8 };

function whole(value: number, least: number, most: number): number {
  return Number.isFinite(value) ? Math.min(most, Math.max(least, Math.round(value))) : least;
}

/** The nearest span that is inside of the grid. */
export function fitted(span: Span): Span {
  const w = whole(span.w, WIDTH_MIN, COLUMNS);
  return {
    w,
    h: whole(span.h, HEIGHT_MIN, HEIGHT_MAX),
    x: whole(span.x, 0, COLUMNS - w),
    y: whole(span.y, 0, Y_MAX),
  };
}

export function sameSpan(a: Span, b: Span): boolean {
  return a.x === b.x && a.y === b.y && a.w === b.w && a.h === b.h;
}

function overlaps(a: Span, b: Span): boolean {
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

function before(a: Placed, b: Placed): number {
  return a.span.y - b.span.y || a.span.x - b.span.x || a.id - b.id;
}

/** Line by line, as one reads. */
export function readingOrder<T extends Placed>(tiles: readonly T[]): T[] {
  return [...tiles].sort(before);
}

function lowered(span: Span, others: readonly Span[]): Span {
  let at = span;
  for (let hit = others.find((o) => overlaps(o, at)); hit;) {
    at = { ...at, y: hit.y + hit.h };
    const now = at;
    hit = others.find((o) => overlaps(o, now));
  }
  return at;
}

/**
 * The same tiles, in the same order, so that nothing overlaps; `leader` gets what it wishes. It
 * goes before a tile when its top is above that one's middle.
 */
export function arranged<T extends Placed>(tiles: readonly T[], leader?: number): T[] {
  const wished = tiles.map((tile) => ({ id: tile.id, span: fitted(tile.span) }));
  const order = readingOrder(wished.filter((tile) => tile.id !== leader));
  const first = wished.find((tile) => tile.id === leader);
  if (first) {
    const middle = ({ span }: Placed) => span.y + span.h / 2;
    const earlier = order.filter((tile) => middle(tile) <= first.span.y);
    const later = order.filter((tile) => middle(tile) > first.span.y);
    order.splice(0, order.length, ...earlier, first, ...later);
  }
  const apart: Placed[] = [];
  for (const tile of order) {
    const taken = apart.map((other) => other.span);
    apart.push({ id: tile.id, span: lowered(tile.span, taken) });
  }
  // From top to bottom, so that a tile rises to the lowest of those above it.
  const spans = new Map<number, Span>();
  const bottoms = new Array<number>(COLUMNS).fill(0);
  for (const { id, span } of readingOrder(apart)) {
    const y = Math.max(...bottoms.slice(span.x, span.x + span.w));
    spans.set(id, { ...span, y });
    bottoms.fill(y + span.h, span.x, span.x + span.w);
  }
  return tiles.map((tile) => {
    const span = spans.get(tile.id) ?? tile.span;
    return sameSpan(span, tile.span) ? tile : { ...tile, span };
  });
}

export function withSpan<T extends Placed>(tiles: readonly T[], id: number, span: Span): T[] {
  return arranged(
    tiles.map((tile) => (tile.id === id ? { ...tile, span: fitted(span) } : tile)),
    id,
  );
}

/** A bit for each column. */
function bitsOf(x: number, w: number): number {
  return ((1 << w) - 1) << x;
}

/** The first place, line by line, where a tile of this size fits without moving any other. */
export function firstFree(taken: readonly Span[], size: { w: number; h: number }): Span {
  const rows: number[] = [];
  for (const { x, y, w, h } of taken) {
    for (let row = y; row < y + h; row++) {
      rows[row] = (rows[row] ?? 0) | bitsOf(x, w);
    }
  }
  for (let y = 0; y < rows.length; y++) {
    const used = rows.slice(y, y + size.h).reduce((all, row) => all | (row ?? 0), 0);
    for (let x = 0; x + size.w <= COLUMNS; x++) {
      if ((used & bitsOf(x, size.w)) === 0) {
        return { ...size, x, y };
      }
    }
  }
  return { ...size, x: 0, y: rows.length };
}

/** How many cells a pointer has moved, in a grid that is `px` wide. */
export function cellsOf(dx: number, dy: number, px: number): { x: number; y: number } {
  const column = (px + GAP_PX) / COLUMNS;
  return { x: Math.round(dx / column), y: Math.round(dy / (ROW_PX + GAP_PX)) };
}

/** Where a span is drawn in a grid that is `px` wide. */
export function pixelsOf(span: Span, px: number): { x: number; y: number; w: number; h: number } {
  const column = (px + GAP_PX) / COLUMNS;
  const row = ROW_PX + GAP_PX;
  return {
    x: span.x * column,
    y: span.y * row,
    w: span.w * column - GAP_PX,
    h: span.h * row - GAP_PX,
  };
}

const STEPS: Record<string, [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/**
 * What an arrow key makes of the tiles; null: no such key. Up and down go past the next tile, as
 * there is no room between them.
 */
export function stepped<T extends Placed>(
  tiles: readonly T[],
  id: number,
  key: string,
  resize: boolean,
): T[] | null {
  const span = tiles.find((tile) => tile.id === id)?.span;
  const [x = 0, y = 0] = STEPS[key] ?? [];
  if (!span || (x === 0 && y === 0)) {
    return null;
  }
  if (resize) {
    return withSpan(tiles, id, {
      ...span,
      w: Math.min(span.w + x, COLUMNS - span.x),
      h: span.h + y,
    });
  }
  const bottom = tiles.reduce((most, tile) => Math.max(most, tile.span.y + tile.span.h), 0);
  for (let by = 1; by <= (y === 0 ? 1 : bottom); by++) {
    const next = withSpan(tiles, id, { ...span, x: span.x + x, y: span.y + y * by });
    const now = next.find((tile) => tile.id === id)?.span;
    if (now && !sameSpan(now, span)) {
      return next;
    }
  }
  return [...tiles];
}

/** Changes places with the tile before it (-1) or behind it (1), in reading order. */
export function exchanged<T extends Placed>(tiles: readonly T[], id: number, by: -1 | 1): T[] {
  const order = readingOrder(tiles);
  const at = order.findIndex((tile) => tile.id === id);
  const [one, other] = [order[at], order[at + by]];
  if (!one || !other) {
    return [...tiles];
  }
  return arranged(
    tiles.map((tile) =>
      tile === one
        ? { ...tile, span: other.span }
        : tile === other
          ? { ...tile, span: one.span }
          : tile,
    ),
  );
}

/** For those who hear where a tile is. */
export function spanText(span: Span): string {
  return `column ${span.x + 1}, row ${span.y + 1}, ${span.w} wide, ${span.h} high`;
}
