/*
 * A list that follows the server: what anybody changes on any webserver appears by itself. A page
 * makes one per list and keeps it going with start().
 */
import { ApiError } from '../lib/api';
import { Turns } from '../lib/turns';
import { repeat } from './attention';

const REFRESH_MS = 2000;
const REFUSED_MS = 30_000; /* whoever may not look need not ask again soon */

export class Watched<T> {
  all: T[] = $state.raw([]);
  loaded = $state(false);
  error = $state('');
  private refused = false;
  private readonly turns = new Turns();

  constructor(private readonly load: (signal?: AbortSignal) => Promise<T[]>) {}

  /** Looks at once; a page calls it after a change of its own. */
  async look(signal?: AbortSignal): Promise<void> {
    const isNews = this.turns.next();
    try {
      const fresh = await this.load(signal);
      if (!isNews()) {
        return;
      }
      if (JSON.stringify(fresh) !== JSON.stringify(this.all)) {
        this.all = fresh;
      }
      this.loaded = true;
      this.error = '';
      this.refused = false;
    } catch (reason) {
      if (!signal?.aborted) {
        this.refused = reason instanceof ApiError && reason.kind === 'forbidden';
        this.error = reason instanceof Error ? reason.message : String(reason);
      }
    }
  }

  /** Returns how to end it. */
  start(): () => void {
    return repeat(async (signal) => {
      await this.look(signal);
      return this.refused ? REFUSED_MS : REFRESH_MS;
    });
  }
}
