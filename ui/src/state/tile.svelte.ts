/*
 * The searches of one tile. A new one runs behind the one that is shown and takes its place when it
 * has something to show, so that a refresh does not flicker. At most TILES_AT_ONCE run at a time,
 * over all tiles; the server forgets each as soon as its first rows are here.
 */
import { Search } from './search.svelte';
import { session } from './session.svelte';
import type { TimeRange } from '../lib/time';

const TILES_AT_ONCE = 4;

class Gate {
  private free = TILES_AT_ONCE;
  private readonly queue: (() => void)[] = [];

  async enter(): Promise<void> {
    if (this.free > 0) {
      this.free--;
      return;
    }
    await new Promise<void>((resolve) => this.queue.push(resolve));
  }

  leave(): void {
    const next = this.queue.shift();
    if (next) {
      next();
    } else {
      this.free++;
    }
  }
}

const gate = new Gate();

export class TileRun {
  shown: Search = $state.raw(newSearch());
  private coming: Search | null = $state.raw(null);
  /** Nothing has been shown yet, and others are before it. */
  waiting = $state(false);
  /** When what is shown was found; 0: never. */
  updatedMs = $state(0);
  private asked = 0;

  readonly busy = $derived(this.waiting || this.coming !== null || this.shown.busy);

  /** `rows`: how many of its first rows are wanted. */
  async run(query: string, range: TimeRange, rows: number): Promise<void> {
    const asked = ++this.asked;
    this.coming?.end();
    this.coming = null;
    if (this.updatedMs === 0) {
      this.shown.end();
    }
    this.waiting = true;
    await gate.enter();
    try {
      if (asked === this.asked) {
        this.waiting = false;
        await this.search(asked, query, range, rows);
      }
    } finally {
      gate.leave();
    }
  }

  private async search(asked: number, query: string, range: TimeRange, rows: number) {
    const search = newSearch();
    if (this.updatedMs === 0) {
      this.shown = search;
    } else {
      this.coming = search;
    }
    await search.launch(query, range);
    await search.want(0, rows);
    search.end();
    if (asked === this.asked) {
      this.shown = search;
      this.coming = null;
      this.updatedMs = Date.now();
    }
  }

  end(): void {
    this.asked++;
    this.waiting = false;
    this.coming?.end();
    this.shown.end();
  }
}

function newSearch(): Search {
  return new Search(session.api, { method: 'dashboard', noHistory: true });
}

/** What the first column of a query's table holds, or its entries: choices of a variable. */
export async function choicesOf(query: string, range: TimeRange, most: number): Promise<string[]> {
  const search = newSearch();
  await gate.enter();
  try {
    await search.launch(query, range);
    if (search.error) {
      throw new Error(search.error);
    }
    await search.want(0, most);
    const found =
      search.renderer === 'table'
        ? search.table.Rows.map((row) => row.Row[0] ?? '')
        : Array.from({ length: Math.min(most, search.count) }, (_, i) => search.row(i)?.line ?? '');
    return [...new Set(found.filter((value) => value !== ''))].slice(0, most);
  } finally {
    gate.leave();
    search.end();
  }
}
