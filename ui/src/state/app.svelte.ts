/*
 * What several pages share: the editor's text, the time range, the search on the screen, the known
 * tags.
 *
 * The address bar says which search is shown. run() starts one and goes there; open() is how a page
 * arrives at an address, and starts its search unless that very search is on the screen already.
 */
import { copyText } from '../lib/clipboard';
import { routeToHash, type Route } from '../lib/route';
import type { KeptSearch } from '../lib/searches';
import { boundsOf, DEFAULT_RANGE, rangeFromText, rangeToText, type TimeRange } from '../lib/time';
import { extracted } from './extractions';
import { router } from './router.svelte';
import { Search } from './search.svelte';
import { session } from './session.svelte';

const DRAFT_KEY = 'aquifer.draft';
const DRAFT_AT_KEY = 'aquifer.draft.at'; /* the address for which the draft was typed */
const RANGE_KEY = 'aquifer.range';
const TOAST_MS = 4000;
const TAGS_AGE_MS = 2000;

type SearchRoute = Extract<Route, { page: 'search' }>;

class App {
  /** What is in the editor. Outlives reloads and the end of a session. */
  draft: string = $state(sessionStorage.getItem(DRAFT_KEY) ?? '');
  range: TimeRange = $state.raw(
    rangeFromText(localStorage.getItem(RANGE_KEY) ?? '') ?? DEFAULT_RANGE,
  );
  tags: string[] = $state.raw([]);
  toast: string = $state('');
  readonly search = new Search(session.api, undefined, extracted);
  private launchedAt = $state('');
  private tagsAskedMs = 0;
  private toastTimer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    session.onLeave(() => {
      this.search.end();
      this.launchedAt = '';
      this.tags = [];
      this.tagsAskedMs = 0;
    });
    addEventListener('pagehide', (event) => {
      if (!event.persisted) {
        this.search.end();
      }
    });
  }

  /** Where the search on the screen is, for the way back from another page. */
  get searchHash(): string {
    return this.search.phase === 'idle' || this.launchedAt === '' ? '#/search' : this.launchedAt;
  }

  setDraft(text: string): void {
    this.draft = text;
    sessionStorage.setItem(DRAFT_KEY, text);
  }

  setRange(range: TimeRange): void {
    this.range = range;
    if (range.kind !== 'absolute') {
      localStorage.setItem(RANGE_KEY, rangeToText(range));
    }
  }

  run(query: string, range: TimeRange): void {
    const text = query.trim();
    if (text === '') {
      return;
    }
    const route: SearchRoute = { page: 'search', query: text, range };
    this.show(route, text === this.draft.trim() ? this.draft : text);
    this.launch(route);
    router.go(route);
  }

  /** Shows the query in the editor and runs nothing. */
  edit(query: string): void {
    router.go({ page: 'search', query: '', range: this.range });
    this.setDraft(query);
  }

  /** Shows what arrives from now on. Its address is that of the search for what is stored. */
  follow(query: string): void {
    const text = query.trim();
    if (text === '') {
      return;
    }
    const route: SearchRoute = { page: 'search', query: text, range: this.range };
    this.show(route, text === this.draft.trim() ? this.draft : text);
    this.launch(route, true);
    router.go(route);
  }

  /** Shows a kept search with the rows it has, also after a reload and to whom the link is sent. */
  attach(kept: KeptSearch): void {
    const [from, to] = [new Date(kept.StartRange).getTime(), new Date(kept.EndRange).getTime()];
    const range: TimeRange = { kind: 'absolute', from, to };
    const route: SearchRoute = {
      page: 'search',
      query: kept.UserQuery.trim(),
      range,
      id: kept.ID,
    };
    this.show(route, route.query);
    this.launch(route);
    router.go(route);
  }

  open(route: SearchRoute): void {
    if (route.query === '') {
      return;
    }
    const at = routeToHash(route);
    if (sessionStorage.getItem(DRAFT_AT_KEY) !== at) {
      this.show(route, route.query);
    }
    this.setRange(route.range);
    if (this.launchedAt !== at) {
      this.launch(route);
    }
  }

  private show(route: SearchRoute, draft: string): void {
    this.setDraft(draft);
    this.setRange(route.range);
    sessionStorage.setItem(DRAFT_AT_KEY, routeToHash(route));
  }

  private launch(route: SearchRoute, following = false): void {
    this.launchedAt = routeToHash(route);
    if (route.id) {
      const bounds = boundsOf(route.range, Date.now());
      void this.search.attach(route.id, route.query, bounds);
    } else {
      void this.search.launch(route.query, route.range, following);
    }
  }

  /**
   * Cheap to call: asks at most every two seconds, and changes nothing when nothing has changed.
   */
  async refreshTags(): Promise<void> {
    if (Date.now() - this.tagsAskedMs < TAGS_AGE_MS) {
      return;
    }
    this.tagsAskedMs = Date.now();
    try {
      const tags = (await session.api.tags()).sort();
      if (tags.join('\n') !== this.tags.join('\n')) {
        this.tags = tags;
      }
    } catch {
      /* suggestions are a comfort: the next refresh may bring them */
    }
  }

  say(text: string): void {
    this.toast = text;
    clearTimeout(this.toastTimer);
    this.toastTimer = setTimeout(() => (this.toast = ''), TOAST_MS);
  }

  async copy(text: string, what: string): Promise<void> {
    this.say(
      (await copyText(text)) ? `${what} copied.` : 'The browser does not allow copying here.',
    );
  }
}

export const app = new App();
