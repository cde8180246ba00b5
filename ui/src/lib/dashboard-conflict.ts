/*
 * Two people have changed the same dashboard. What each did since the version both began with, part
 * by part, and what becomes of it when their changes do not touch the same parts.
 */
import type { Draft, Tile } from './dashboard';
import { arranged } from './dashboard-grid';
import { rangeLabel } from './time';

export type Change = 'same' | 'changed' | 'added' | 'removed';

export interface Part {
  key: string;
  label: string;
  mine: Change;
  theirs: Change;
  /** What the part is in either version; null: it is not there. */
  mineText: string | null;
  theirsText: string | null;
  /** Both changed it, and not to the same. */
  clash: boolean;
}

/** What is to be done about a version that the server has. */
export type Verdict = 'nothing' | 'take' | 'conflict';

/** `known` is the version that the edit began with, `seen` the one that the server has now. */
export function verdict(known: string, seen: string, unsaved: boolean): Verdict {
  if (seen === known) {
    return 'nothing';
  }
  return unsaved ? 'conflict' : 'take';
}

type Parts = Map<string, { label: string; text: string; exact: string }>;

/** The same text for the same thing, whatever the order of its members. */
export function exactly(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

export function sameDraft(a: Draft, b: Draft): boolean {
  return a === b || exactly(a) === exactly(b);
}

function tileText(tile: Tile): string {
  const lines = [tile.query];
  if (tile.repeat) {
    lines.push(`for each ${tile.repeat}`);
  }
  if (tile.view !== 'auto') {
    lines.push(`shown as ${tile.view}`);
  }
  if (tile.range) {
    lines.push(rangeLabel(tile.range));
  }
  return `${tile.title}\n${lines.join('\n')}`;
}

function partsOf({ name, description, labels, board }: Draft): Parts {
  const parts: Parts = new Map();
  const put = (key: string, label: string, text: string, exact: unknown) =>
    parts.set(key, { label, text, exact: exactly(exact) });
  put('name', 'Name', name, name);
  put('description', 'Description', description || 'none', description);
  put('labels', 'Labels', labels.join(', ') || 'none', labels);
  put('range', 'Time range', rangeLabel(board.range), board.range);
  put(
    'refresh',
    'Refresh',
    board.refreshSeconds > 0 ? `every ${board.refreshSeconds} s` : 'off',
    board.refreshSeconds,
  );
  put('rest', 'Other settings', exactly(board.rest), [board.rest, board.surplus]);
  for (const one of board.variables) {
    const { name: variable, kind, defaultValue } = one;
    const text = `${variable}: ${kind}${defaultValue ? `, ${defaultValue}` : ''}`;
    put(`variable ${variable}`, `Variable “${variable}”`, text, one);
  }
  for (const tile of board.tiles) {
    const { span: _, ...what } = tile;
    put(`tile ${tile.id}`, `Tile “${tile.title}”`, tileText(tile), what);
  }
  const places = board.tiles.map((tile) => [tile.id, tile.span]);
  put('places', 'Arrangement', 'where the tiles stand', places);
  return parts;
}

function changeOf(before: string | undefined, now: string | undefined): Change {
  if (before === now) {
    return 'same';
  }
  return before === undefined ? 'added' : now === undefined ? 'removed' : 'changed';
}

/** The parts that anybody has changed. */
export function compare(base: Draft, mine: Draft, theirs: Draft): Part[] {
  const [was, here, there] = [partsOf(base), partsOf(mine), partsOf(theirs)];
  const keys = new Set([...was.keys(), ...here.keys(), ...there.keys()]);
  const parts: Part[] = [];
  for (const key of keys) {
    const [b, m, t] = [was.get(key), here.get(key), there.get(key)];
    const part = {
      key,
      label: b?.label ?? m?.label ?? t?.label ?? key,
      mine: changeOf(b?.exact, m?.exact),
      theirs: changeOf(b?.exact, t?.exact),
      mineText: m?.text ?? null,
      theirsText: t?.text ?? null,
    };
    if (part.mine !== 'same' || part.theirs !== 'same') {
      const both = part.mine !== 'same' && part.theirs !== 'same';
      // Where tiles stand can always be reconciled.
      parts.push({ ...part, clash: both && m?.exact !== t?.exact && key !== 'places' });
    }
  }
  return parts;
}

function pick<T>(base: T, mine: T, theirs: T): T {
  return exactly(mine) === exactly(base) ? theirs : mine;
}

/** Theirs in their order, then what only mine has; each as whoever changed it left it. */
function united<T>(base: T[], mine: T[], theirs: T[], key: (item: T) => string): T[] {
  const find = (list: T[], of: T) => list.find((item) => key(item) === key(of));
  const result: T[] = [];
  for (const item of [...theirs, ...mine.filter((one) => !find(theirs, one))]) {
    const [b, m, t] = [find(base, item), find(mine, item), find(theirs, item)];
    if (m !== undefined && t !== undefined) {
      result.push(b === undefined ? m : pick(b, m, t));
    } else if (b === undefined || exactly(item) !== exactly(b)) {
      result.push(item); /* added, or changed while the other one removed it */
    }
  }
  return result;
}

/** Both edits in one; null when they touch the same part. */
export function merged(base: Draft, mine: Draft, theirs: Draft): Draft | null {
  if (compare(base, mine, theirs).some((part) => part.clash)) {
    return null;
  }
  const [b, m, t] = [base.board, mine.board, theirs.board];
  const spanOf = (tiles: Tile[], id: number) => tiles.find((tile) => tile.id === id)?.span;
  const blind = (tiles: Tile[]) =>
    tiles.map((tile) => ({ ...tile, span: spanOf(b.tiles, tile.id) ?? tile.span }));
  const tiles = united(blind(b.tiles), blind(m.tiles), blind(t.tiles), (tile) => String(tile.id));
  return {
    name: pick(base.name, mine.name, theirs.name),
    description: pick(base.description, mine.description, theirs.description),
    labels: pick(base.labels, mine.labels, theirs.labels),
    board: {
      range: pick(b.range, m.range, t.range),
      refreshSeconds: pick(b.refreshSeconds, m.refreshSeconds, t.refreshSeconds),
      rest: pick(b.rest, m.rest, t.rest),
      surplus: pick(b.surplus, m.surplus, t.surplus),
      variables: united(b.variables, m.variables, t.variables, (one) => one.name),
      tiles: arranged(
        tiles.map((tile) => {
          const [was, here, there] = [b, m, t].map((board) => spanOf(board.tiles, tile.id));
          const span = was && here && there ? pick(was, here, there) : (here ?? there);
          return { ...tile, span: span ?? tile.span };
        }),
      ),
    },
  };
}
