/*
 * A list that follows the server: what anybody changes on any webserver appears by itself. A page
 * makes one per list and keeps it going with start().
 */
import { repeat } from './attention';

const REFRESH_MS = 2000;

export class Watched<T> {
  all: T[] = $state.raw([]);
  loaded = $state(false);
  error = $state('');

  constructor(private readonly load: (signal?: AbortSignal) => Promise<T[]>) {}

  /** Looks at once; a page calls it after a change of its own. */
  async look(signal?: AbortSignal): Promise<void> {
    try {
      const fresh = await this.load(signal);
      if (JSON.stringify(fresh) !== JSON.stringify(this.all)) {
        this.all = fresh;
      }
      this.loaded = true;
      this.error = '';
    } catch (reason) {
      if (!signal?.aborted) {
        this.error = reason instanceof Error ? reason.message : String(reason);
      }
    }
  }

  /** Returns how to end it. */
  start(): () => void {
    return repeat(async (signal) => {
      await this.look(signal);
      return REFRESH_MS;
    });
  }
}
