import { beforeEach, describe, expect, it } from 'vitest';
import { ApiClient, ApiError, messagesOf } from './api';

interface Seen {
  path: string;
  init: RequestInit;
}

let seen: Seen[] = [];
let ended = 0;

/** A client whose server answers `status` and `body` to everything. */
function clientOf(status: number, body: unknown, token: string | null = 'aa.bb.cc'): ApiClient {
  return new ApiClient({
    fetch: async (path, init) => {
      seen.push({ path: String(path), init: init ?? {} });
      return new Response(typeof body === 'string' ? body : JSON.stringify(body), { status });
    },
    token: () => token,
    sessionEnded: () => ended++,
  });
}

async function failure(call: Promise<unknown>): Promise<ApiError> {
  try {
    await call;
  } catch (error) {
    expect(error).toBeInstanceOf(ApiError);
    return error as ApiError;
  }
  throw new Error('the call did not fail');
}

beforeEach(() => {
  seen = [];
  ended = 0;
});

describe('login', () => {
  it('sends the form the server reads, and no old token', async () => {
    const token = await clientOf(200, { LoginStatus: true, JWT: 'x.y.z' }).login(
      'ann',
      's3cret +&=',
    );
    expect(token).toBe('x.y.z');
    expect(new URLSearchParams(String(seen[0]?.init.body)).get('Pass')).toBe('s3cret +&=');
    expect(seen[0]?.init.headers).not.toHaveProperty('Authorization');
  });

  it('says in words why it failed, and ends no session', async () => {
    expect((await failure(clientOf(422, {}).login('a', 'b'))).message).toMatch(/not right/);
    expect((await failure(clientOf(423, {}).login('a', 'b'))).message).toMatch(/locked/);
    expect((await failure(clientOf(429, {}).login('a', 'b'))).message).toMatch(/Too many/);
    expect(
      (await failure(clientOf(200, { LoginStatus: false, Reason: 'not today' }).login('a', 'b')))
        .message,
    ).toBe('not today');
    expect(ended).toBe(0);
  });
});

describe('a call', () => {
  it('carries the token', async () => {
    await clientOf(200, []).tags();
    expect(seen[0]?.init.headers).toMatchObject({ Authorization: 'Bearer aa.bb.cc' });
  });

  it('tells once that the session has ended', async () => {
    expect((await failure(clientOf(401, {}).tags())).kind).toBe('unauthorized');
    expect(ended).toBe(1);
  });

  it('is tried again with the token that another tab has got meanwhile', async () => {
    let token = 'old';
    const tried: string[] = [];
    const client = new ApiClient({
      fetch: async (_, init) => {
        tried.push((init?.headers as Record<string, string>)['Authorization'] ?? '');
        token = 'new';
        return new Response('[]', { status: tried.length === 1 ? 401 : 200 });
      },
      token: () => token,
      sessionEnded: () => ended++,
    });
    expect(await client.tags()).toEqual([]);
    expect(tried).toEqual(['Bearer old', 'Bearer new']);
    expect(ended).toBe(0);
  });

  it('waits for a token that is on its way, since the old one is no longer good', async () => {
    let token = 'old';
    let answer: (response: Response) => void = () => undefined;
    const order: string[] = [];
    const client = new ApiClient({
      fetch: (path, init) => {
        order.push(`${path} ${(init?.headers as Record<string, string>)['Authorization']}`);
        return path === '/api/tags'
          ? Promise.resolve(new Response('[]'))
          : new Promise((resolve) => (answer = resolve));
      },
      token: () => token,
      sessionEnded: () => ended++,
    });
    const refresh = client.refreshToken((fresh) => (token = fresh));
    const tags = client.tags();
    await Promise.resolve();
    answer(new Response('{"LoginStatus":true,"JWT":"new"}'));
    await Promise.all([refresh, tags]);
    expect(order).toEqual(['/api/login/refreshtoken Bearer old', '/api/tags Bearer new']);
  });

  it('does not take a refusal for the end of the session', async () => {
    const error = await failure(
      clientOf(403, { Error: 'only administrators may' }).deleteDashboard(7),
    );
    expect(error).toMatchObject({
      kind: 'forbidden',
      message: 'only administrators may',
      status: 403,
    });
    expect(ended).toBe(0);
  });

  it('reports an answer that is no JSON, and a page of a proxy, in words', async () => {
    expect((await failure(clientOf(200, '<html>').tags())).kind).toBe('unavailable');
    expect((await failure(clientOf(502, '<html>').tags())).message).toBe(
      'The server answered with status 502.',
    );
  });

  it('tells a lost connection from a request that was given up', async () => {
    const lost = new ApiClient({
      fetch: () => Promise.reject(new TypeError('fetch failed')),
      token: () => null,
      sessionEnded: () => undefined,
    });
    expect((await failure(lost.tags())).kind).toBe('network');
    const abort = new AbortController();
    abort.abort();
    const given = new ApiClient({
      fetch: () => Promise.reject(new DOMException('', 'AbortError')),
      token: () => null,
      sessionEnded: () => undefined,
    });
    expect((await failure(given.tags(abort.signal))).kind).toBe('aborted');
  });

  it('takes null for an empty list wherever a list may be', async () => {
    expect(await clientOf(200, 'null').tags()).toEqual([]);
    expect(await clientOf(200, 'null').history(0)).toEqual([]);
    expect(await clientOf(200, 'null').dashboards()).toEqual([]);
    const overview = await clientOf(200, { Finished: true, Stats: null }).overview('1', 's', {
      count: 1,
    });
    expect(overview).toMatchObject({ Stats: [], Messages: [] });
    const page = await clientOf(200, { Entries: null, Tags: null }).page('1', 's', 'text', 0, 9);
    expect(page).toMatchObject({ Entries: [], Tags: {}, Messages: [] });
  });

  it('makes an error inside a page of results an error of the call', async () => {
    expect(
      (await failure(clientOf(200, { Error: 'the search is gone' }).page('1', 's', 'text', 0, 9)))
        .message,
    ).toBe('the search is gone');
  });

  it('cannot be led astray by an id', async () => {
    await clientOf(200, '').stop('../../logout?x=');
    expect(seen[0]?.path).toBe('/api/searchctrl/..%2F..%2Flogout%3Fx%3D/stop');
  });

  it('gives the answer of readiness whatever its status', async () => {
    expect(await clientOf(503, 'datastore away').readiness()).toEqual({
      status: 503,
      body: 'datastore away',
    });
    expect(ended).toBe(0);
  });
});

describe('messages', () => {
  it('are found in the list and in the older warning', () => {
    expect(
      messagesOf({
        Warning: 'indexer down',
        Messages: [{ ID: 1, Severity: 'info', Value: 'x' }],
      }).map((m) => m.Value),
    ).toEqual(['x', 'indexer down']);
    expect(messagesOf({ Warning: '' })).toEqual([]);
  });
});
