/*
 * A session's token, as far as the page may look into it: when it was issued and when it expires.
 * The middle one of its three parts, joined by dots, is JSON in hexadecimal digits. Whoever cannot
 * read it lives on without: the server's 401 is what counts.
 */

export interface TokenLife {
  issuedMs: number;
  expiresMs: number;
}

export function lifeOf(token: string): TokenLife | null {
  const hex = token.split('.')[1] ?? '';
  if (!/^(?:[0-9a-f]{2})+$/.test(hex)) {
    return null;
  }
  const bytes = Uint8Array.from(hex.match(/../g) ?? [], (digits) => parseInt(digits, 16));
  try {
    const claims = JSON.parse(new TextDecoder().decode(bytes)) as {
      issued?: number;
      expires?: string;
    };
    const expiresMs = Date.parse(claims.expires ?? '');
    const issuedMs = Number(claims.issued) / 1e6;
    return Number.isFinite(expiresMs) && Number.isFinite(issuedMs) ? { issuedMs, expiresMs } : null;
  } catch {
    return null;
  }
}

/** Half its life is over: whoever is at work gets a new one. */
export function dueForRefresh(life: TokenLife | null, nowMs: number): boolean {
  return life !== null && nowMs < life.expiresMs && nowMs > (life.issuedMs + life.expiresMs) / 2;
}
