/* The list of dashboards: what is found, and in which order. */
import type { Dashboard } from './types';

export const SORTINGS = [
  { sorting: 'name', label: 'By name' },
  { sorting: 'changed', label: 'Last changed first' },
  { sorting: 'made', label: 'Newest first' },
] as const;
export type Sorting = (typeof SORTINGS)[number]['sorting'];

export function labelsOf(all: readonly Dashboard[]): string[] {
  return [...new Set(all.flatMap((one) => one.Labels ?? []))].sort((a, b) => a.localeCompare(b));
}

/** Every word must be somewhere in the name, the description or a label. */
export function filtered(all: readonly Dashboard[], text: string, label: string): Dashboard[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return all.filter((one) => {
    const labels = one.Labels ?? [];
    const said = [one.Name, one.Description, ...labels].join('\n').toLowerCase();
    return (label === '' || labels.includes(label)) && words.every((word) => said.includes(word));
  });
}

/** Favourites first. */
export function sortedBy(
  all: readonly Dashboard[],
  sorting: Sorting,
  favourites: readonly string[],
): Dashboard[] {
  const starred = (one: Dashboard) => (favourites.includes(one.ThingUUID) ? 0 : 1);
  const time = (text: string) => new Date(text).getTime() || 0;
  return [...all].sort((a, b) => {
    const order =
      sorting === 'changed'
        ? time(b.Updated) - time(a.Updated)
        : sorting === 'made'
          ? time(b.Created) - time(a.Created)
          : 0;
    return starred(a) - starred(b) || order || a.Name.localeCompare(b.Name) || a.ID - b.ID;
  });
}
