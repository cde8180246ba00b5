/*
 * What is to be said about the webserver's own health, as far as a user is concerned.
 */
import type { Settings } from './types';

export type Health =
  | { state: 'ok' }
  /** Works, but what it needs to be in step with the others is away. */
  | { state: 'degraded'; reason: string; unsynced: number }
  /** Not ready to serve, and says why. */
  | { state: 'unready'; reason: string }
  /** Does not answer at all. */
  | { state: 'away' };

/** For who is logged in: the settings say how the datastore is doing. */
export function healthOfSettings(settings: Settings): Health {
  const datastore = settings.Datastore;
  if (!datastore?.Degraded) {
    return { state: 'ok' };
  }
  const where = datastore.Address ? ` at ${datastore.Address}` : '';
  const why = datastore.Reason ? ` (${datastore.Reason})` : '';
  return {
    state: 'degraded',
    reason: `the datastore${where} does not answer${why}`,
    unsynced: datastore.Unsynced ?? 0,
  };
}

/** For who is not: `GET /readyz` is 200, or 503 with a line of text. */
export function healthOfReadiness(status: number, body: string): Health {
  if (status !== 503) {
    return { state: 'ok' };
  }
  const text = body.trim();
  const plain = text !== '' && text.length < 200 && !/^[<{[]/.test(text);
  return { state: 'unready', reason: plain ? text : 'it does not say why' };
}

/* Where a newcomer's lines can go, as seen from this browser: a loopback address of the server
   means the host that the page came from. */
export function ingestTarget(targets: string[] | undefined, hostname: string): string {
  const host = hostname.includes(':') ? `[${hostname}]` : hostname;
  const first = targets?.[0];
  if (!first) return `${host}:4023`;
  const loopback = /^(?:127\.[\d.]+|localhost|\[::1\])(?::(\d+))?$/.exec(first);
  return loopback ? `${host}:${loopback[1] ?? '4023'}` : first;
}
