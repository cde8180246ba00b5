/* Macros: their arguments `%%1%%`, `%%2%%` …, and what the server makes of a call. */

/** The name as a macro may have it: the server takes A-Z, 0-9, _ and - only. */
export function macroName(typed: string): string {
  return typed
    .toUpperCase()
    .replace(/\s+/g, '_')
    .replace(/[^A-Z0-9_-]/g, '');
}

/** How many arguments an expansion asks for. */
export function macroArguments(expansion: string): number {
  const numbers = [...expansion.matchAll(/%%([1-9][0-9]?)%%/g)].map((match) => Number(match[1]));
  return Math.max(0, ...numbers);
}

export function expandMacro(expansion: string, given: string[]): string {
  return expansion.replace(/%%([1-9][0-9]?)%%/g, (whole, n) => given[Number(n) - 1] ?? whole);
}

/** How a query calls it. */
export function macroCall(name: string, count: number): string {
  const places = Array.from({ length: count }, (_, i) => `argument ${i + 1}`);
  return count === 0 ? `$${name}` : `$${name}(${places.join(', ')})`;
}

/** An expansion is a piece of a query: what is to be asked to know whether it can be one. */
export function macroQuery(expanded: string): string {
  const text = expanded.trim();
  return /^(?:tag\s*=|@)/.test(text) ? text : `tag=* ${text.replace(/^\|\s*/, '')}`;
}
