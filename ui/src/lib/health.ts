/*
 * What `GET /readyz` says about the webserver, as far as a user is concerned.
 */

export type Health =
  | { state: 'unknown' }
  | { state: 'ok' }
  | { state: 'degraded'; reason: string }
  | { state: 'away' };

interface Readiness {
  status?: unknown;
  degraded?: unknown;
  reasons?: unknown;
  checks?: unknown;
}

/**
 * A server that answers at all is at worst degraded. The body is either text or JSON; in JSON,
 * `degraded` or `reasons` list what is away, or `checks` maps each thing to what it says.
 */
export function healthOf(status: number, body: string): Health {
  const reasons = reasonsOf(body);
  if (reasons.length > 0) {
    return { state: 'degraded', reason: reasons.join('; ') };
  }
  if (status >= 200 && status < 300) {
    return { state: 'ok' };
  }
  if (status === 404) {
    return { state: 'unknown' };
  }
  const text = body.trim();
  const plain = text !== '' && text.length < 200 && !/^[<{[]/.test(text);
  return { state: 'degraded', reason: plain ? text : 'the webserver says it is not ready' };
}

function reasonsOf(body: string): string[] {
  let value: Readiness;
  try {
    value = JSON.parse(body) as Readiness;
  } catch {
    return [];
  }
  if (typeof value !== 'object' || value === null) {
    return [];
  }
  const reasons: string[] = [];
  for (const member of [value.degraded, value.reasons]) {
    if (typeof member === 'string' && member !== '') {
      reasons.push(member);
    } else if (Array.isArray(member)) {
      reasons.push(...member.filter((item): item is string => typeof item === 'string'));
    }
  }
  if (typeof value.checks === 'object' && value.checks !== null) {
    for (const [name, says] of Object.entries(value.checks)) {
      if (says !== true && says !== 'ok' && says !== 'ready') {
        reasons.push(`${name}: ${typeof says === 'string' ? says : 'not ready'}`);
      }
    }
  }
  return reasons;
}
