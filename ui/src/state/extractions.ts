/*
 * The tags that an extractor of this user takes apart. It is asked for when entries are there, and
 * again after a while: somebody may just have made one.
 */
import { globOf } from '../lib/glob';
import { session } from './session.svelte';

const GOOD_FOR_MS = 30_000;

interface WireDefinition {
  Tag?: string;
  Tags?: string[] | null;
}

let asked: Promise<RegExp[]> | null = null;
let askedMs = 0;

session.onLeave(() => (asked = null));

async function globs(): Promise<RegExp[]> {
  const all = await session.api.get<WireDefinition[] | null>('/api/autoextractors');
  const tags = (all ?? []).flatMap((one) => one.Tags ?? (one.Tag ?? '').split(','));
  return tags.map((tag) => globOf(tag.trim()));
}

/** Whether any of these tags is taken apart by an extractor. */
export async function extracted(tags: Iterable<string>): Promise<boolean> {
  if (asked === null || Date.now() - askedMs > GOOD_FOR_MS) {
    askedMs = Date.now();
    asked = globs().catch(() => []);
  }
  const known = await asked;
  return [...tags].some((tag) => known.some((glob) => glob.test(tag)));
}
