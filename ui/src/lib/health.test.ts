import { describe, expect, it } from 'vitest';
import { healthOfReadiness, healthOfSettings, ingestTarget } from './health';
import type { Settings } from './types';

const settings = (Datastore?: Settings['Datastore']): Settings => ({
  DistributedWebservers: true,
  IngestAllowed: false,
  ServerTime: '2026-05-04T09:30:00Z',
  ...(Datastore ? { Datastore } : {}),
});

describe('health', () => {
  it('is fine with a datastore that answers, and without any datastore', () => {
    expect(healthOfSettings(settings())).toEqual({ state: 'ok' });
    expect(healthOfSettings(settings({ State: 'live', Degraded: false }))).toEqual({ state: 'ok' });
  });

  it('names the datastore that is away, why, and how much waits for it', () => {
    const away = {
      State: 'offline',
      Degraded: true,
      Address: '10.0.0.1:9405',
      Reason: 'connection refused',
      Unsynced: 2,
    };
    expect(healthOfSettings(settings(away))).toEqual({
      state: 'degraded',
      reason: 'the datastore at 10.0.0.1:9405 does not answer (connection refused)',
      unsynced: 2,
    });
    expect(healthOfSettings(settings({ State: 'offline', Degraded: true }))).toMatchObject({
      reason: 'the datastore does not answer',
    });
  });

  it('is not ready when the server says so, with its words but never with a page of a proxy', () => {
    expect(healthOfReadiness(200, 'ready\n')).toEqual({ state: 'ok' });
    expect(healthOfReadiness(503, 'replica: never in step yet\n')).toEqual({
      state: 'unready',
      reason: 'replica: never in step yet',
    });
    expect(healthOfReadiness(503, '<html>')).toEqual({
      state: 'unready',
      reason: 'it does not say why',
    });
    expect(healthOfReadiness(404, '')).toEqual({ state: 'ok' });
  });
});

describe('where a newcomer sends lines', () => {
  it('is an indexer the server names', () => {
    expect(ingestTarget(['ix1.example:4023'], 'page.example')).toBe('ix1.example:4023');
  });
  it('is the host of the page when the server names its own loopback', () => {
    expect(ingestTarget(['127.0.0.1:8084'], '127.0.0.1')).toBe('127.0.0.1:8084');
    expect(ingestTarget(['127.0.0.1:8084'], 'page.example')).toBe('page.example:8084');
  });
  it('is the default port when nothing is named', () => {
    expect(ingestTarget(undefined, '::1')).toBe('[::1]:4023');
  });
});
