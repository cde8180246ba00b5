/* What a user or the members of a group may do: everything, or only what is chosen. */
import type { ApiCall } from './people';

export interface Rights {
  limited: boolean;
  chosen: string[];
}

export interface Capability {
  Cap: number;
  Name: string;
  Desc: string;
  Category: string;
}

export interface RightsTemplate {
  Name: string;
  Desc: string;
  Caps: number[];
}

/** As the page groups them, in the server's order. */
export function byCategory(all: Capability[]): { category: string; list: Capability[] }[] {
  const groups = new Map<string, Capability[]>();
  for (const one of all) {
    groups.set(one.Category, [...(groups.get(one.Category) ?? []), one]);
  }
  return [...groups].map(([category, list]) => ({ category, list }));
}

export function chosenOf(template: RightsTemplate, all: Capability[]): string[] {
  return all.filter((one) => template.Caps.includes(one.Cap)).map((one) => one.Name);
}

/** What the server is asked for, if anything has changed. `path` is that of the user or group. */
export function rightsCall(path: string, before: Rights, now: Rights): ApiCall | null {
  const same =
    before.limited === now.limited &&
    (!now.limited || [...before.chosen].sort().join() === [...now.chosen].sort().join());
  return same
    ? null
    : {
        method: 'PUT',
        path: `${path}/capabilities`,
        json: { Grants: now.limited ? now.chosen : null },
      };
}
