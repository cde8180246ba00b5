/*
 * What a query condenses its entries into. Like query.ts this decides nothing: it reads queries
 * that the server has understood, and is silent about what it does not know.
 */
import { pieces } from './query';

/** stats, and the modules that are one operation of it. */
const CONDENSING = new Set(
  'stats count sum total mean avg stddev variance min max unique_count'.split(' '),
);
const ORDERING = new Set(['sort', 'limit']);
const WORD = /^[\p{L}_][\p{L}\p{N}_.-]*$/u;

export interface Condensed {
  results: { op: string; name: string }[];
  /** Of all results, each once. */
  keys: string[];
  /** As it is written. */
  over: string | null;
  /** Rows have the times of entries. */
  ofEntries: boolean;
}

/** The words of each stage, its module first; without what names tags and times. */
export function stagesOf(query: string): string[][] {
  const stages: string[][] = [];
  for (const { kind, text } of pieces(query)) {
    const stage = stages[stages.length - 1];
    if (kind === 'module') {
      stages.push([text]);
    } else if (kind === 'operator') {
      stage?.push(...text);
    } else if (kind === 'string') {
      stage?.push(text.slice(1, -1));
    } else if (kind === 'word' || kind === 'flag' || kind === 'macro') {
      stage?.push(text);
    }
  }
  return stages;
}

/** The last stage, but for those in `ordering`, if it condenses. */
export function condensedAtEnd(
  stages: readonly string[][],
  ordering: ReadonlySet<string> = new Set(['sort']),
): Condensed | null {
  const [stage] = stages.filter(([module = '']) => !ordering.has(module)).slice(-1);
  return stage && CONDENSING.has(stage[0] ?? '') ? condensedBy(stage) : null;
}

function condensedBy([module = '', ...words]: string[]): Condensed {
  const found: Condensed = { results: [], keys: [], over: null, ofEntries: false };
  let inKeys = module !== 'stats'; /* in place of an operation stands its value, if any */
  if (inKeys) {
    found.results.push({ op: module, name: module });
    words = words.slice(
      Math.max(
        0,
        words.findIndex((word) => word === 'by' || word === 'over'),
      ),
    );
  }
  for (let i = 0; i < words.length; i++) {
    const [word = '', next] = [words[i], words[i + 1]];
    if (word === '-b') {
      found.ofEntries = true;
    } else if (word === 'over') {
      found.over = next ?? '';
      i++;
    } else if (word === 'by') {
      inKeys = true;
    } else if (word === ',' || (word.startsWith('-') && i++ >= 0)) {
      continue;
    } else if (inKeys && next !== '(' && next !== 'as' && next !== 'by') {
      found.keys.push(word);
    } else {
      inKeys = false;
      const close = next === '(' ? words.indexOf(')', i) : i;
      i = close < 0 ? words.length : close;
      const named = words[i + 1] === 'as';
      found.results.push({ op: word, name: named ? (words[i + 2] ?? '') : word });
      i += named ? 2 : 0;
    }
  }
  found.keys = [...new Set(found.keys)];
  return found;
}

/** Rows of values that are shown as text, since nothing else was said: how they are told better. */
export function betterShown(query: string): { table: string; chart: string | null } | null {
  const condensed = condensedAtEnd(stagesOf(query), ORDERING);
  if (condensed === null) {
    return null;
  }
  // Behind a comment to the end of the line nothing counts.
  const head = /\/\/[^\n]*$/.test(query) ? `${query}\n` : `${query} `;
  const { results, keys } = condensed;
  const names = results.map(({ name }) => name);
  const by = keys.length > 0 ? ` by ${keys.join(' ')}` : '';
  const plain = names.length > 0 && [...names, ...keys].every((word) => WORD.test(word));
  return {
    table: `${head}| table`,
    chart: plain ? `${head}| chart ${names.join(' ')}${by}` : null,
  };
}
