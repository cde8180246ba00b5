/*
 * The client of the webserver's HTTP API.
 *
 * One object per page. It knows no screen: what it needs (fetch, the session's token, what to do
 * when the session has ended) is handed in, so a test can be the server. Every call ends in a value
 * or in an ApiError whose `message` is a sentence that can be shown to a user as it is.
 */
import type { WireElement } from './fields';
import type {
  Dashboard,
  DashboardData,
  HistoryItem,
  LaunchAnswer,
  LoginAnswer,
  Message,
  Overview,
  ParseAnswer,
  Settings,
  StartRequest,
  User,
  WireEntry,
  WirePage,
  WireTable,
} from './types';

export type ApiErrorKind =
  | 'unauthorized' /* the session has ended, or the login was refused */
  | 'forbidden'
  | 'missing'
  | 'refused' /* the server understood and said no: `message` is its reason */
  | 'unavailable' /* the server, or something it needs, is away */
  | 'network'
  | 'aborted';

export class ApiError extends Error {
  constructor(
    readonly kind: ApiErrorKind,
    message: string,
    readonly status = 0,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

export interface ApiOptions {
  fetch: typeof fetch;
  token: () => string | null;
  /** Called when the server refuses the token, before the call itself fails. */
  sessionEnded: () => void;
}

interface Call {
  method?: string;
  json?: unknown;
  body?: BodyInit;
  signal?: AbortSignal | undefined;
  keepalive?: boolean;
  /** Login and the like: no token is sent and a 401 is an answer, not the end of a session. */
  anonymous?: boolean;
  /** Does not wait for a token that is on its way. */
  urgent?: boolean;
}

const KIND_BY_STATUS: Record<number, ApiErrorKind> = {
  401: 'unauthorized',
  403: 'forbidden',
  404: 'missing',
  422: 'refused',
  423: 'refused',
  502: 'unavailable',
  503: 'unavailable',
  504: 'unavailable',
};

export class ApiClient {
  /** While a new token is on its way the old one is no longer good: other calls wait. */
  private refreshing: Promise<unknown> = Promise.resolve();

  constructor(private readonly options: ApiOptions) {}

  /* ---- session ---- */

  async login(user: string, password: string): Promise<string> {
    const body = new URLSearchParams({ User: user, Pass: password });
    let answer: LoginAnswer;
    try {
      answer = await this.json<LoginAnswer>('/api/login', {
        method: 'POST',
        body,
        anonymous: true,
      });
    } catch (error) {
      throw loginError(error);
    }
    if (!answer.LoginStatus || !answer.JWT) {
      throw new ApiError('refused', answer.Reason ?? 'The server refused the login.');
    }
    return answer.JWT;
  }

  /** A new token for the old one, which ends. `keep` stores it before any other call goes on. */
  refreshToken(keep: (token: string) => void): Promise<void> {
    const refreshed = this.json<LoginAnswer>('/api/login/refreshtoken', { urgent: true }).then(
      (answer) => {
        if (answer.JWT) {
          keep(answer.JWT);
        }
      },
    );
    this.refreshing = refreshed.catch(() => undefined);
    return refreshed;
  }

  async logout(): Promise<void> {
    await this.send('/api/logout', { method: 'PUT' });
  }

  whoami(signal?: AbortSignal): Promise<User> {
    return this.json<User>('/api/info/whoami', { signal });
  }

  settings(signal?: AbortSignal): Promise<Settings> {
    return this.json<Settings>('/api/settings', { signal });
  }

  async changePassword(uid: number, old: string, fresh: string): Promise<void> {
    await this.send(`/api/users/${uid}/pwd`, {
      method: 'PUT',
      json: { OrigPass: old, NewPass: fresh },
    });
  }

  /** The answer of `/readyz` whatever its status: a server that is not ready still says why. */
  async readiness(signal?: AbortSignal): Promise<{ status: number; body: string }> {
    const response = await this.request('/readyz', { anonymous: true, signal });
    return { status: response.status, body: await response.text() };
  }

  /* ---- search ---- */

  async tags(signal?: AbortSignal): Promise<string[]> {
    return list(await this.json<string[] | null>('/api/tags', { signal }));
  }

  async parse(query: string, signal?: AbortSignal): Promise<ParseAnswer> {
    const json = { SearchString: query, Sequence: 0, Filters: [] };
    const answer = await this.json<ParseAnswer>('/api/parse', { method: 'POST', json, signal });
    return { ...answer, Tags: list(answer.Tags) };
  }

  async launch(request: StartRequest, signal?: AbortSignal): Promise<LaunchAnswer> {
    const answer = await this.json<LaunchAnswer>('/api/searchctrl/launch', {
      method: 'POST',
      json: request,
      signal,
    });
    return { ...answer, Messages: list(answer.Messages) };
  }

  async overview(
    search: string,
    session: string,
    window: { count: number; start?: string; end?: string },
    signal?: AbortSignal,
  ): Promise<Overview> {
    const parameters = new URLSearchParams({ sid: session, count: String(window.count) });
    if (window.start && window.end) {
      parameters.set('start', window.start);
      parameters.set('end', window.end);
    }
    const answer = await this.json<Overview>(`${pathOf(search, 'stats')}?${parameters}`, {
      signal,
    });
    return { ...answer, Stats: list(answer.Stats), Messages: list(answer.Messages) };
  }

  async page(
    search: string,
    session: string,
    renderer: string,
    first: number,
    last: number,
    signal?: AbortSignal,
  ): Promise<WirePage> {
    const parameters = rowsOf(session, first, last);
    const path = pathOf(search, 'renderer', renderer);
    const answer = await this.json<WirePage>(`${path}?${parameters}`, { signal });
    if (answer.Error) {
      throw new ApiError('refused', answer.Error);
    }
    return {
      ...answer,
      Tags: answer.Tags ?? {},
      Entries: list(answer.Entries),
      Messages: list(answer.Messages),
    };
  }

  /** What is in the rows `[first, last)`, with the bytes of each to know it by. */
  async explore(
    search: string,
    session: string,
    renderer: string,
    first: number,
    last: number,
    signal?: AbortSignal,
  ): Promise<{ Data: string; Elements: WireElement[] }[]> {
    const parameters = rowsOf(session, first, last);
    const path = pathOf(search, 'renderer', renderer, 'explore');
    const answer = await this.json<{
      Entries?: WireEntry[] | null;
      Explore?: { Elements?: WireElement[] }[] | null;
    }>(`${path}?${parameters}`, { signal });
    return list(answer.Entries).map(({ Data }, i) => ({
      Data,
      Elements: answer.Explore?.[i]?.Elements ?? [],
    }));
  }

  /** What a renderer that shows neither entries nor a table has made: its `Entries`. */
  async picture(
    search: string,
    session: string,
    renderer: string,
    signal?: AbortSignal,
  ): Promise<unknown> {
    const parameters = new URLSearchParams({ sid: session });
    const path = pathOf(search, 'renderer', renderer);
    const answer = await this.json<{ Entries?: unknown; Error?: string }>(`${path}?${parameters}`, {
      signal,
    });
    if (answer.Error) {
      throw new ApiError('refused', answer.Error);
    }
    return answer.Entries ?? null;
  }

  /** The rows `[first, last)` of a table. */
  async table(
    search: string,
    session: string,
    first: number,
    last: number,
    signal?: AbortSignal,
  ): Promise<WireTable> {
    const parameters = rowsOf(session, first, last);
    const path = pathOf(search, 'renderer', 'table');
    const answer = await this.json<{ Entries?: Partial<WireTable> | null; Error?: string }>(
      `${path}?${parameters}`,
      { signal },
    );
    if (answer.Error) {
      throw new ApiError('refused', answer.Error);
    }
    return { Columns: list(answer.Entries?.Columns), Rows: list(answer.Entries?.Rows) };
  }

  /** Answers the interval in seconds the server wishes, or 0 when it wishes no change. */
  async ping(search: string, session: string): Promise<number> {
    const path = `${pathOf(search, 'ping')}?sid=${encodeURIComponent(session)}`;
    const answer = await this.json<{ Interval?: number } | null>(path, {
      method: 'PUT',
      json: { Interval: 0 },
    });
    return answer?.Interval ?? 0;
  }

  async stop(search: string): Promise<void> {
    await this.send(pathOf(search, 'stop'), { method: 'PUT' });
  }

  /** Survives the page being closed: the request is small and `keepalive`. */
  async detach(search: string, session: string): Promise<void> {
    const path = `${pathOf(search, 'detach')}?sid=${encodeURIComponent(session)}`;
    await this.send(path, { method: 'PUT', keepalive: true });
  }

  async download(search: string, format: string, signal?: AbortSignal): Promise<Blob> {
    const path = pathOf(search, 'download', format);
    return (await this.send(path, { signal })).blob();
  }

  async history(uid: number, signal?: AbortSignal): Promise<HistoryItem[]> {
    return list(
      await this.json<HistoryItem[] | null>(`/api/searchhistory/user/${uid}`, { signal }),
    );
  }

  /* ---- dashboards ---- */

  async dashboards(signal?: AbortSignal): Promise<Dashboard[]> {
    return list(await this.json<Dashboard[] | null>('/api/dashboards', { signal }));
  }

  dashboard(id: number, signal?: AbortSignal): Promise<Dashboard> {
    return this.json<Dashboard>(`/api/dashboards/${id}`, { signal });
  }

  createDashboard(name: string, description: string, data: DashboardData): Promise<number> {
    const json = {
      Name: name,
      Description: description,
      Data: data,
      UID: 0,
      GIDs: null,
      Global: false,
    };
    return this.json<number>('/api/dashboards', { method: 'POST', json });
  }

  async updateDashboard(dashboard: Dashboard): Promise<void> {
    await this.send(`/api/dashboards/${dashboard.ID}`, { method: 'PUT', json: dashboard });
  }

  async deleteDashboard(id: number): Promise<void> {
    await this.send(`/api/dashboards/${id}`, { method: 'DELETE' });
  }

  /* ---- ingest ---- */

  async ingestLines(tag: string, lines: string): Promise<number> {
    const form = new FormData();
    form.set('tag', tag);
    form.set('source', '');
    form.set('type', '');
    form.set(
      'file',
      new Blob([lines], { type: 'application/octet-stream' }),
      'line-delimited-file',
    );
    const response = await this.send('/api/ingest/lines', { method: 'POST', body: form });
    const text = await response.text();
    return text === '' ? 0 : ((JSON.parse(text) as { Count?: number }).Count ?? 0);
  }

  /* ---- any other route: the parts that know its shapes are cluster.ts, people.ts … ---- */

  get<T>(path: string, signal?: AbortSignal): Promise<T> {
    return this.json<T>(path, { signal });
  }

  async getBlob(path: string, signal?: AbortSignal): Promise<Blob> {
    return (await this.send(path, { signal })).blob();
  }

  /** What it answers, or null when it answers nothing. */
  async change<T>(method: string, path: string, json?: unknown): Promise<T | null> {
    const text = await (await this.send(path, { method, json })).text();
    return text === '' ? null : (JSON.parse(text) as T);
  }

  /* ---- the wire ---- */

  private async json<T>(path: string, call: Call = {}): Promise<T> {
    const response = await this.send(path, call);
    try {
      return (await response.json()) as T;
    } catch (error) {
      if (isAbort(error)) {
        throw new ApiError('aborted', 'The request was given up.');
      }
      throw new ApiError(
        'unavailable',
        'The server sent an answer that is not JSON.',
        response.status,
      );
    }
  }

  private async send(path: string, call: Call = {}): Promise<Response> {
    if (!call.urgent && !call.anonymous) {
      await this.refreshing;
    }
    const token = this.options.token();
    let response = await this.request(path, call);
    if (response.status === 401 && !call.anonymous) {
      // Another tab may have changed the token under this call.
      if (this.options.token() !== token && this.options.token() !== null) {
        response = await this.request(path, call);
      }
      if (response.status === 401) {
        this.options.sessionEnded();
      }
    }
    if (response.ok) {
      return response;
    }
    throw await errorOf(response);
  }

  private async request(path: string, call: Call): Promise<Response> {
    const headers: Record<string, string> = { Accept: 'application/json' };
    const token = this.options.token();
    if (token && !call.anonymous) {
      headers['Authorization'] = `Bearer ${token}`;
    }
    const init: RequestInit = {
      method: call.method ?? 'GET',
      headers,
      credentials: 'same-origin',
      cache: 'no-store',
      redirect: 'error',
    };
    if (call.json !== undefined) {
      headers['Content-Type'] = 'application/json';
      init.body = JSON.stringify(call.json);
    } else if (call.body !== undefined) {
      init.body = call.body;
    }
    if (call.signal) {
      init.signal = call.signal;
    }
    if (call.keepalive) {
      init.keepalive = true;
    }
    try {
      return await this.options.fetch(path, init);
    } catch (error) {
      if (isAbort(error)) {
        throw new ApiError('aborted', 'The request was given up.');
      }
      throw new ApiError('network', 'The server does not answer. The page tries again by itself.');
    }
  }
}

/** A search's messages from either way of saying them: the list, or the older single `Warning`. */
export function messagesOf(answer: { Messages?: Message[]; Warning?: string }): Message[] {
  const messages = [...list(answer.Messages)];
  if (answer.Warning) {
    messages.push({ ID: 0, Severity: 'warn', Value: answer.Warning });
  }
  return messages;
}

function pathOf(search: string, ...rest: string[]): string {
  return ['/api/searchctrl', ...[search, ...rest].map(encodeURIComponent)].join('/');
}

/** The rows `[first, last)`, as whoever is attached by this session. */
function rowsOf(session: string, first: number, last: number): URLSearchParams {
  return new URLSearchParams({ sid: session, first: String(first), last: String(last) });
}

function list<T>(value: T[] | null | undefined): T[] {
  return value ?? [];
}

function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

async function errorOf(response: Response): Promise<ApiError> {
  const kind =
    KIND_BY_STATUS[response.status] ?? (response.status >= 500 ? 'unavailable' : 'refused');
  let text = '';
  try {
    text = await response.text();
    const body = JSON.parse(text) as { Error?: unknown; error?: unknown };
    const reason = body.Error ?? body.error;
    text = typeof reason === 'string' ? reason : '';
  } catch {
    /* not JSON: a proxy's page, say; its status is all that is worth showing */
    text = '';
  }
  return new ApiError(
    kind,
    text || `The server answered with status ${response.status}.`,
    response.status,
  );
}

function loginError(error: unknown): unknown {
  if (!(error instanceof ApiError)) {
    return error;
  }
  switch (error.status) {
    case 401:
    case 422:
      return new ApiError(
        'unauthorized',
        'The user name or the password is not right.',
        error.status,
      );
    case 423:
      return new ApiError(
        'refused',
        'This account is locked. An administrator can unlock it.',
        423,
      );
    case 429:
      return new ApiError('refused', 'Too many attempts. Wait a moment and try again.', 429);
    default:
      return error;
  }
}
