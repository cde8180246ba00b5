import { describe, expect, it } from 'vitest';
import { dueForRefresh, lifeOf } from './token';

function tokenOf(claims: unknown): string {
  const bytes = new TextEncoder().encode(JSON.stringify(claims));
  return `7b7d.${Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('')}.00`;
}

const ISSUED = Date.UTC(2026, 4, 4, 9);
const HOUR = 3_600_000;
const TOKEN = tokenOf({ uid: 7, issued: ISSUED * 1e6, expires: '2026-05-04T10:00:00Z', sid: 'ü' });

describe('a token', () => {
  it('tells its life', () => {
    expect(lifeOf(TOKEN)).toEqual({ issuedMs: ISSUED, expiresMs: ISSUED + HOUR });
  });

  it('may be anything else, and is then simply used', () => {
    for (const token of [
      '',
      'x',
      'a.b.c',
      'aa.zz.bb',
      'aa.abc.bb',
      tokenOf(null),
      tokenOf([]),
      tokenOf({ expires: 5 }),
    ]) {
      expect(lifeOf(token), token).toBeNull();
    }
    expect(dueForRefresh(null, ISSUED)).toBe(false);
  });

  it('is renewed in the second half of its life, never after it', () => {
    const life = lifeOf(TOKEN);
    expect(dueForRefresh(life, ISSUED + 0.4 * HOUR)).toBe(false);
    expect(dueForRefresh(life, ISSUED + 0.6 * HOUR)).toBe(true);
    expect(dueForRefresh(life, ISSUED + HOUR)).toBe(false);
  });
});
