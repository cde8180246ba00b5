import { describe, expect, it } from 'vitest';
import { healthOf } from './health';

describe('readiness', () => {
  it('is fine when the server says so', () => {
    expect(healthOf(200, 'ready\n')).toEqual({ state: 'ok' });
    expect(healthOf(200, '{"status":"ready"}')).toEqual({ state: 'ok' });
  });

  it('is degraded, with the reason, when something is away, even with status 200', () => {
    expect(healthOf(503, 'datastore: connection refused\n')).toEqual({
      state: 'degraded',
      reason: 'datastore: connection refused',
    });
    expect(healthOf(200, '{"degraded":["datastore away"]}')).toMatchObject({ reason: 'datastore away' });
    expect(healthOf(503, '{"checks":{"datastore":"away","http":"ok"}}')).toMatchObject({ reason: 'datastore: away' });
  });

  it('never shows a proxy page as a reason', () => {
    expect(healthOf(502, '<html><body>Bad gateway')).toMatchObject({ reason: 'the webserver says it is not ready' });
  });

  it('is unknown on a server that has no such page', () => {
    expect(healthOf(404, '')).toEqual({ state: 'unknown' });
  });
});
