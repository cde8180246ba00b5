/*
 * One search, from launch to detach.
 *
 *     IDLE ──launch()──> LAUNCHING ──> RUNNING ──all merged──> DONE
 *                            │            ├──stop()─────────> STOPPED
 *                            └──refused───┴──gone, error────> FAILED
 *
 * launch() ends the search before: at most one is attached at a time. A poll asks for the overview
 * until it is finished; rows are fetched in pages when somebody wants to see them, and the oldest
 * pages are forgotten. Nothing here touches the document.
 */
import { attentive } from './attention';
import { ApiError, messagesOf, type ApiClient } from '../lib/api';
import { entriesOf, type Entry } from '../lib/entry';
import { bucketsFor, closer, progressOf } from '../lib/histogram';
import { boundsOf, DAY, MINUTE, toRfc3339, type TimeRange } from '../lib/time';
import type { TableRow } from '../lib/table';
import { learn } from '../lib/fields';
import type {
  LaunchAnswer,
  Message,
  OverviewBucket,
  ParseAnswer,
  WireEntry,
  WireTable,
} from '../lib/types';
import { forgotten, PAGE_ROWS, pagesOf } from '../lib/virtual';
import { chartOf } from '../lib/chart';
import { withZeros } from '../lib/zeros';

export type Phase = 'idle' | 'launching' | 'running' | 'done' | 'stopped' | 'failed';

export interface QueryError {
  message: string;
  /** In bytes of UTF-8 from the query's start; null when the server did not say. */
  offset: number | null;
  length: number;
  stage: number | null;
}

export interface Picture {
  from: number;
  to: number;
  buckets: OverviewBucket[];
}

const TABLE_ROWS = 1000;
/** A table with more rows is sorted by its first ones only. */
export const TABLE_ROWS_SORTED = 100_000;
const POLL_FIRST_MS = 60;
const POLL_MS = 1000;
const POLL_FOLLOWING_MS = 400;
const PING_MS_MAX = 20_000;
/** A search that nobody has looked at for so long may be forgotten; it can be run again. */
const PING_IDLE_MS = 30 * 60_000;
/** A range this long is mostly empty: it is worth a closer look where the entries are. */
const SPARSE_MS = 400 * DAY;
/** Renderers whose entries this page can show. */
const ENTRY_RENDERERS = new Set(['text', 'raw', 'hex', 'pcap']);
/** Renderers that are drawn (lib/chart.ts). */
const PICTURE_RENDERERS = new Set([
  'chart',
  'stackgraph',
  'gauge',
  'numbercard',
  'wordcloud',
  'pointmap',
  'heatmap',
  'point2point',
  'fdg',
]);

export class Search {
  phase: Phase = $state('idle');
  query = $state('');
  error: string = $state('');
  queryError: QueryError | null = $state.raw(null);
  /** The range that is really searched, in ms; the query's own `start=` and `end=` win. */
  from = $state(0);
  to = $state(0);
  count = $state(0);
  progress = $state(0);
  /** Shows what arrives from the launch on, the newest last, until it is stopped. */
  following = $state(false);
  /** Counts the looks at the server, so that views of rows know when more may be there. */
  polls = $state(0);
  /** What is found stands for the whole range: there are no counts over time. */
  timeless = $state(false);
  /** The counts over time, and the part of the range that they are drawn for. */
  picture: Picture = $state.raw({ from: 0, to: 0, buckets: [] });
  messages: Message[] = $state.raw([]);
  startedMs = $state(0);
  tookMs = $state(0);
  /** Counts page arrivals, so that views of rows know when to look again. */
  rowsVersion = $state(0);
  id = $state('');
  renderer = $state('');
  /** The forms in which the results can be downloaded. */
  formats: string[] = $state.raw([]);
  /** The columns and the first rows, when the query ends in a table. */
  table: WireTable = $state.raw({ Columns: [], Rows: [] });
  /** What a chart, a gauge or the like shows so far; null: nothing yet. */
  drawing: unknown = $state.raw(null);

  private sid = '';
  /** The query without macros. */
  private meaning = '';
  private abort = new AbortController();
  private pages = new Map<number, Entry[]>();
  private wanted = new Set<number>();
  /** Rows of a table behind the first ones, by page of TABLE_ROWS. */
  private tablePages = new Map<number, TableRow[]>();
  private tableAsking = false;
  /** What was asked for; null: it was attached to. */
  private range: TimeRange | null = null;
  /** The session has ended under it: resume() goes on. */
  private lost = false;
  private pingTimer: ReturnType<typeof setInterval> | undefined;

  constructor(
    private readonly api: ApiClient,
    private readonly purpose: { method: string; noHistory: boolean } = {
      method: 'manual',
      noHistory: false,
    },
    /** Whether an extractor takes any of these tags apart. */
    private readonly extracted: ((tags: Set<string>) => Promise<boolean>) | null = null,
  ) {}

  get busy(): boolean {
    return this.phase === 'launching' || this.phase === 'running';
  }

  async launch(query: string, range: TimeRange, following = false): Promise<void> {
    this.end();
    const signal = this.abort.signal;
    const asked = boundsOf(range, Date.now());
    this.reset(query, asked);
    this.range = range;
    this.following = following;
    try {
      const parsed = await this.api.parse(query, signal);
      const wrong = queryErrorOf(parsed);
      if (wrong) {
        this.fail(wrong.message, wrong);
        return;
      }
      this.meaning = parsed.ParsedQuery ?? query;
      const answer = await this.api.launch(
        {
          SearchString: query,
          SearchStart: toRfc3339(asked.from),
          SearchEnd: toRfc3339(asked.to),
          Background: false,
          ...(following ? { Follow: true } : {}),
          ...(this.purpose.noHistory ? { NoHistory: true } : {}),
          LaunchInfo: { method: this.purpose.method },
        },
        signal,
      );
      await this.begin(answer, asked, signal);
    } catch (error) {
      if (!signal.aborted && !this.isLost(error)) {
        this.fail(textOf(error));
      }
    }
  }

  /** Somebody is logged in again: goes on with what runs, or starts it once more. */
  async resume(): Promise<void> {
    if (!this.lost) {
      return;
    }
    const { id, query, following, range } = this;
    const asked = { from: this.from, to: this.to };
    this.id = ''; /* end() would let go of it */
    if (id !== '') {
      await this.attach(id, query, asked, following);
    }
    if (id === '' || this.phase === 'failed') {
      await this.launch(query, range ?? { kind: 'absolute', ...asked }, following);
    }
  }

  private isLost(error: unknown): boolean {
    this.lost ||= error instanceof ApiError && error.kind === 'unauthorized';
    return this.lost;
  }

  /** Shows a search that is there already, wherever it runs. */
  async attach(
    id: string,
    query: string,
    asked: { from: number; to: number },
    following = false,
  ): Promise<void> {
    this.end();
    const signal = this.abort.signal;
    this.reset(query, asked);
    this.following = following;
    try {
      const path = `/api/searchctrl/${encodeURIComponent(id)}/attach`;
      const answer = await this.api.get<LaunchAnswer>(path, signal);
      await this.begin({ ...answer, Messages: messagesOf(answer) }, asked, signal);
    } catch (error) {
      if (!signal.aborted && !this.isLost(error)) {
        this.fail(textOf(error));
      }
    }
  }

  private async begin(
    answer: LaunchAnswer,
    asked: { from: number; to: number },
    signal: AbortSignal,
  ): Promise<void> {
    if (signal.aborted) {
      return;
    }
    this.id = answer.SearchID;
    this.sid = answer.SearchSessionID;
    this.renderer = answer.RenderModule;
    this.formats = answer.Info?.RenderDownloadFormats ?? [];
    this.timeless = answer.Info?.TimeZoomDisabled ?? false;
    this.messages = answer.Messages;
    this.from = timeOr(answer.Info?.StartRange, asked.from);
    this.to = timeOr(answer.Info?.EndRange, asked.to);
    this.phase = 'running';
    this.keepAlive(answer.RefreshInterval);
    await this.follow(signal);
  }

  /** Keeps what has been found so far. */
  async stop(): Promise<void> {
    if (this.phase === 'launching') {
      this.end();
      this.phase = 'idle';
      return;
    }
    if (this.phase !== 'running') {
      return;
    }
    this.phase = 'stopped';
    this.tookMs = Date.now() - this.startedMs;
    try {
      await this.api.stop(this.id);
    } catch (error) {
      // Refused: it has just ended by itself.
      if (!(error instanceof ApiError && error.kind === 'refused')) {
        this.error = textOf(error);
      }
    }
  }

  /** Leaves the search; the server forgets it. Rows already here stay readable. */
  end(): void {
    this.abort.abort();
    this.abort = new AbortController();
    clearInterval(this.pingTimer);
    this.lost = false;
    if (this.id !== '') {
      this.api.detach(this.id, this.sid).catch(() => undefined);
      this.id = '';
    }
  }

  /** The row if it is here; else undefined, and it is on its way. */
  row(index: number): Entry | undefined {
    return this.pages.get(Math.floor(index / PAGE_ROWS))?.[index % PAGE_ROWS];
  }

  /** The first entries that are here, without a gap. */
  loaded(most: number): Entry[] {
    const all: Entry[] = [];
    for (let page = 0; all.length < most; page++) {
      const rows = this.pages.get(page);
      all.push(...(rows ?? []));
      if (rows === undefined || rows.length < PAGE_ROWS) {
        break;
      }
    }
    return all.slice(0, most);
  }

  /** Fetches what is missing of these rows; done when they are here, or not to be had. */
  async want(first: number, last: number): Promise<void> {
    if (this.id === '' || !ENTRY_RENDERERS.has(this.renderer)) {
      return;
    }
    const missing = pagesOf(first, Math.min(last, this.count)).filter(
      (page) => !this.wanted.has(page) && !this.complete(page),
    );
    await Promise.all(missing.map((page) => this.fetchPage(page)));
  }

  tableRow(index: number): TableRow | undefined {
    const page = Math.floor(index / TABLE_ROWS);
    const rows = page === 0 ? this.table.Rows : this.tablePages.get(page);
    return rows?.[index % TABLE_ROWS];
  }

  /** All rows from the first on, up to one that is not here yet. */
  tableRowsFrom(): TableRow[] {
    let rows = this.table.Rows;
    for (let page = 1; rows.length === page * TABLE_ROWS; page++) {
      const more = this.tablePages.get(page);
      if (more === undefined) {
        break;
      }
      rows = rows.concat(more);
    }
    return rows.slice(0, TABLE_ROWS_SORTED);
  }

  /** Fetches what is missing of these rows, a page at a time; each arrival counts rowsVersion. */
  wantTable(first: number, last: number): void {
    if (this.id === '' || this.renderer !== 'table' || this.tableAsking) {
      return;
    }
    const end = Math.min(last, this.count);
    for (let page = Math.max(1, Math.floor(first / TABLE_ROWS)); page * TABLE_ROWS < end; page++) {
      if (!this.tablePages.has(page)) {
        void this.fetchTable(page);
        return;
      }
    }
  }

  private async fetchTable(page: number): Promise<void> {
    const { signal } = this.abort;
    const known = this.table;
    this.tableAsking = true;
    try {
      const first = page * TABLE_ROWS;
      const table = await this.api.table(this.id, this.sid, first, first + TABLE_ROWS, signal);
      if (this.table === known) {
        this.tablePages.set(page, table.Rows);
      }
    } catch (error) {
      if (!signal.aborted && !this.isLost(error)) {
        this.error = textOf(error);
        this.tablePages.set(page, []);
      }
    } finally {
      if (!signal.aborted) {
        this.tableAsking = false;
        this.rowsVersion++;
      }
    }
  }

  /** A page that was not full when it came may have more rows by now. */
  private forgetTableEnd(): void {
    for (const [page, rows] of this.tablePages) {
      if (rows.length < TABLE_ROWS && this.tablePages.delete(page)) {
        this.rowsVersion++;
      }
    }
  }

  get showsEntries(): boolean {
    return this.renderer === '' || ENTRY_RENDERERS.has(this.renderer);
  }

  get showsPicture(): boolean {
    return PICTURE_RENDERERS.has(this.renderer);
  }

  private complete(page: number): boolean {
    const rows = this.pages.get(page);
    return rows !== undefined && rows.length >= Math.min(PAGE_ROWS, this.count - page * PAGE_ROWS);
  }

  private async fetchPage(page: number): Promise<void> {
    const { signal } = this.abort;
    const first = page * PAGE_ROWS;
    this.wanted.add(page);
    try {
      const answer = await this.api.page(
        this.id,
        this.sid,
        this.renderer,
        first,
        first + PAGE_ROWS,
        signal,
      );
      if (signal.aborted) {
        return;
      }
      this.pages.delete(page);
      this.pages.set(page, entriesOf(answer, this.renderer));
      this.note(messagesOf(answer));
      if (answer.Finished && !answer.AdditionalEntries && answer.Entries.length < PAGE_ROWS) {
        this.count = Math.min(this.count, first + answer.Entries.length);
      }
      for (const oldest of forgotten(this.pages.keys())) {
        this.pages.delete(oldest);
      }
      this.rowsVersion++;
      void this.explore(page, answer.Entries, signal).catch(() => undefined);
    } catch (error) {
      if (!signal.aborted && !this.isLost(error)) {
        this.error = textOf(error);
      }
    } finally {
      if (!signal.aborted) {
        this.wanted.delete(page);
      }
    }
  }

  /** Asks what the extractors of the tags find in a page of rows, if there are any. */
  private async explore(page: number, wire: WireEntry[], signal: AbortSignal): Promise<void> {
    const entries = this.pages.get(page) ?? [];
    const tags = new Set(entries.map((entry) => entry.tag));
    if (this.extracted === null || !(await this.extracted(tags)) || signal.aborted) {
      return;
    }
    const first = page * PAGE_ROWS;
    const last = first + entries.length;
    const found = await this.api.explore(this.id, this.sid, this.renderer, first, last, signal);
    entries.forEach((entry, i) => {
      const one = found[i];
      // Rows of a search that runs move: what is found is for these bytes.
      if (one && one.Data === wire[i]?.Data) {
        learn(entry, one.Elements);
      }
    });
    if (!signal.aborted) {
      this.rowsVersion++;
    }
  }

  private async follow(signal: AbortSignal): Promise<void> {
    let wait = POLL_FIRST_MS;
    let failures = 0;
    while (!signal.aborted) {
      let finished = false;
      try {
        finished = await this.poll(signal);
        failures = 0;
      } catch (error) {
        failures++;
        if (signal.aborted || !worthRetry(error) || failures > 10) {
          throw error;
        }
      }
      if (finished || signal.aborted) {
        await this.lookCloser(signal).catch(() => undefined); /* the wide picture stays */
        return;
      }
      await sleep(wait, signal);
      wait = Math.min(this.following ? POLL_FOLLOWING_MS : POLL_MS, wait * 2);
    }
  }

  private async poll(signal: AbortSignal): Promise<boolean> {
    const { from } = this;
    const to = this.following ? Math.max(Date.now(), from + MINUTE) : this.to;
    const part = this.following ? { start: toRfc3339(from), end: toRfc3339(to) } : {};
    const window = { count: bucketsFor(from, to), ...part };
    const answer = await this.api.overview(this.id, this.sid, window, signal);
    if (signal.aborted) {
      return true;
    }
    this.count = answer.EntryCount;
    this.polls++;
    this.picture = { from, to, buckets: answer.Stats };
    this.note(answer.Messages);
    this.progress =
      answer.Finished || this.following ? 1 : progressOf(answer.SearchPosition, this.from, this.to);
    this.tookMs = this.phase === 'running' ? Date.now() - this.startedMs : this.tookMs;
    if (answer.Error) {
      throw new ApiError('refused', answer.Error);
    }
    if (this.renderer === 'table' && (answer.Finished || this.table.Rows.length < TABLE_ROWS)) {
      const table = await this.api.table(this.id, this.sid, 0, TABLE_ROWS, signal);
      if (signal.aborted) {
        return true;
      }
      this.table = table;
      this.tablePages.clear(); /* what is there may be other rows by now */
      this.rowsVersion++;
    } else if (this.renderer === 'table') {
      this.forgetTableEnd();
    }
    if (this.showsPicture && (answer.Finished || answer.EntryCount > 0)) {
      const drawing = await this.api.picture(this.id, this.sid, this.renderer, signal);
      if (signal.aborted) {
        return true;
      }
      this.drawing =
        this.renderer === 'chart' ? withZeros(chartOf(drawing), this.meaning) : drawing;
    }
    if (answer.Finished && this.phase === 'running') {
      this.phase = 'done';
    }
    return answer.Finished;
  }

  /** "All time" begins long before the first entry: draws only the part that holds any. */
  private async lookCloser(signal: AbortSignal): Promise<void> {
    if (this.timeless || this.to - this.from < SPARSE_MS || this.count === 0) {
      return;
    }
    let picture = this.picture;
    for (let round = 0; round < 6 && !signal.aborted; round++) {
      const part = closer(picture.buckets, picture.from, picture.to);
      if (part === null) {
        break;
      }
      const { from, to } = part;
      const window = { count: bucketsFor(from, to), start: toRfc3339(from), end: toRfc3339(to) };
      const answer = await this.api.overview(this.id, this.sid, window, signal);
      picture = { from, to, buckets: answer.Stats };
    }
    if (!signal.aborted) {
      this.picture = picture;
    }
  }

  private note(messages: Message[]): void {
    const known = new Set(this.messages.map((m) => m.Value));
    const fresh = messages.filter((m) => !known.has(m.Value));
    if (fresh.length > 0) {
      this.messages = [...this.messages, ...fresh];
    }
  }

  private keepAlive(refreshSeconds: number): void {
    const { id, sid } = this;
    const every = Math.min(PING_MS_MAX, Math.max(1, refreshSeconds || 2) * 1000);
    this.pingTimer = setInterval(() => {
      if (!attentive(PING_IDLE_MS)) {
        return;
      }
      this.api.ping(id, sid).catch(() => undefined);
    }, every);
  }

  private reset(query: string, asked: { from: number; to: number }): void {
    this.phase = 'launching';
    this.query = query;
    this.meaning = query;
    this.error = '';
    this.queryError = null;
    this.from = asked.from;
    this.to = asked.to;
    this.count = 0;
    this.progress = 0;
    this.following = false;
    this.range = null;
    this.polls = 0;
    this.picture = { ...asked, buckets: [] };
    this.messages = [];
    this.renderer = '';
    this.formats = [];
    this.table = { Columns: [], Rows: [] };
    this.drawing = null;
    this.startedMs = Date.now();
    this.tookMs = 0;
    this.pages.clear();
    this.wanted.clear();
    this.tablePages.clear();
    this.tableAsking = false;
    this.rowsVersion++;
  }

  private fail(message: string, wrong: QueryError | null = null): void {
    this.phase = 'failed';
    this.error = message;
    this.queryError = wrong;
    this.tookMs = Date.now() - this.startedMs;
  }
}

export function queryErrorOf(parsed: ParseAnswer): QueryError | null {
  if (parsed.GoodQuery) {
    return null;
  }
  return {
    message: parsed.ParseError || 'This query is not valid.',
    offset: parsed.ErrorOffset ?? null,
    length: parsed.ErrorLength ?? 0,
    stage: parsed.ErrorStage ?? null,
  };
}

function timeOr(text: string | undefined, otherwise: number): number {
  const ms = text === undefined ? NaN : new Date(text).getTime();
  return Number.isFinite(ms) && ms > -1e13 ? ms : otherwise;
}

function worthRetry(error: unknown): boolean {
  return error instanceof ApiError && (error.kind === 'network' || error.kind === 'unavailable');
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
