/* What was changed between two versions of a thing, in words. */

export interface Version {
  Change: string;
  Name: string;
  Updated: string;
  Present: boolean;
  Deleted: boolean;
}

export interface Difference {
  Path: string;
  Before?: unknown;
  After?: unknown;
}

const TEXT_MAX = 400;
const NAMES: Record<string, string> = {
  name: 'name',
  description: 'description',
  owner: 'owner',
  gids: 'groups that may use it',
  global: 'everybody may use it',
  'write.gids': 'groups that may change it',
  'write.global': 'everybody may change it',
  labels: 'labels',
  'blob.bytes': 'size',
  'blob.hash': 'contents',
  'blob.sha256': 'contents',
};

function textOf(value: unknown): string {
  const text = value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)} …` : text;
}

/** "body.Contents.variables[0].label" as "Contents.variables[0].label". */
function nameOf(path: string): string {
  const known = Object.keys(NAMES).find((name) => path === name || path.startsWith(`${name}[`));
  return known === undefined ? path.replace(/^body\./, '') : (NAMES[known] ?? path);
}

export function differencesOf(
  list: Difference[],
): { what: string; before: string; after: string }[] {
  return list.map((one) => ({
    what: nameOf(one.Path),
    before: textOf(one.Before),
    after: textOf(one.After),
  }));
}
