/*
 * What helps while a query is typed: what there is to suggest, earlier queries, and what the server
 * thinks of the text so far. Everything here is a comfort: when the server is away, typing goes on.
 */
import { Recall } from '../lib/recall';
import type { Known, Suggestion } from '../lib/suggest';
import { app } from './app.svelte';
import { queryErrorOf, type QueryError } from './search.svelte';
import { session } from './session.svelte';

const PARSE_AFTER_MS = 350;
/** Words about what is half typed would be in the way; the underline comes at once. */
const TELL_AFTER_MS = 1200;
const HINT_CHARACTERS_MAX = 60;

interface Macro {
  Name: string;
  Expansion: string;
  Description?: string;
}

interface SavedQuery {
  Name: string;
  Query?: string;
  Description?: string;
}

function shortened(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > HINT_CHARACTERS_MAX ? `${line.slice(0, HINT_CHARACTERS_MAX)}…` : line;
}

export class Assist {
  /** What is wrong with the text in the editor; null: nothing, as far as is known. */
  error: QueryError | null = $state.raw(null);
  /** It is time to say it in words, too. */
  telling = $state(false);
  readonly recall = new Recall();
  private macros: Suggestion[] = $state.raw([]);
  private queries: Suggestion[] = $state.raw([]);
  private fields: string[] = $state.raw([]);
  private timer: ReturnType<typeof setTimeout> | undefined;
  private tellTimer: ReturnType<typeof setTimeout> | undefined;
  private abort = new AbortController();

  get known(): Known {
    const { macros, queries, fields } = this;
    return { tags: app.tags, macros, queries, fields };
  }

  /** Names of fields that results have shown; they stay offered while the page lives. */
  addFields(names: string[]): void {
    const fresh = names.filter((name) => !this.fields.includes(name));
    if (fresh.length > 0) {
      this.fields = [...this.fields, ...fresh].slice(-500);
    }
  }

  load(): void {
    const { api } = session;
    void app.refreshTags();
    const quietly = () => undefined;
    api.get<Macro[] | null>('/api/macros').then((all) => {
      this.macros = (all ?? []).map(({ Name, Expansion, Description }) => ({
        kind: 'macro',
        text: `$${Name}`,
        hint: shortened(Description || Expansion),
        help: Expansion,
      }));
    }, quietly);
    api.get<SavedQuery[] | null>('/api/library').then((all) => {
      this.queries = (all ?? []).flatMap(({ Name, Query, Description }): Suggestion[] =>
        Query
          ? [
              {
                kind: 'query',
                text: Name,
                hint: shortened(Description || 'saved query'),
                insert: Query,
                help: Query,
              },
            ]
          : [],
      );
    }, quietly);
    api
      .history(0)
      .then((all) => this.recall.load(all.map((item) => item.UserQuery)))
      .catch(quietly);
  }

  /** The text has changed: asks about it when typing rests. */
  changed(text: string): void {
    this.settle();
    this.timer = setTimeout(() => void this.parse(text), PARSE_AFTER_MS);
    this.tellTimer = setTimeout(() => (this.telling = true), TELL_AFTER_MS);
  }

  /** Forgets what was wrong, and does not ask any more. */
  settle(): void {
    clearTimeout(this.timer);
    clearTimeout(this.tellTimer);
    this.abort.abort();
    this.error = null;
    this.telling = false;
  }

  private async parse(text: string): Promise<void> {
    if (text.trim() === '') {
      return;
    }
    this.abort = new AbortController();
    try {
      const parsed = await session.api.parse(text, this.abort.signal);
      if (text === app.draft) {
        this.error = queryErrorOf(parsed);
      }
    } catch {
      /* running the query will tell */
    }
  }
}
