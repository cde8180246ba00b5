/*
 * Earlier queries, walked through with the arrow keys as in a shell. What was being typed is kept:
 * it is the newest of all, and comes back when one walks forward again.
 */
const KEPT_MAX = 200;

export class Recall {
  private items: string[] = []; /* newest first, no two alike */
  private at = -1; /* -1: what is being typed */
  private typed = '';

  /** The history as the server has it, newest first. */
  load(queries: string[]): void {
    this.items = [...new Set([...this.items, ...queries])].slice(0, KEPT_MAX);
  }

  /** A query that was just run. */
  add(query: string): void {
    const text = query.trim();
    if (text !== '') {
      this.items = [text, ...this.items.filter((one) => one !== text)].slice(0, KEPT_MAX);
    }
    this.at = -1;
  }

  /** The next older query than the one on the screen; null: there is none. */
  older(current: string): string | null {
    if (this.at < 0) {
      this.typed = current;
    }
    for (let next = this.at + 1; next < this.items.length; next++) {
      const text = this.items[next];
      if (text !== undefined && text !== current.trim()) {
        this.at = next;
        return text;
      }
    }
    return null;
  }

  /** The next newer one, at last what was being typed; null: nothing was recalled. */
  newer(): string | null {
    if (this.at < 0) {
      return null;
    }
    this.at--;
    return this.at < 0 ? this.typed : (this.items[this.at] ?? this.typed);
  }

  /** Typing goes on from here. */
  edited(): void {
    this.at = -1;
  }
}
