/*
 * Who may use and who may change a thing that is kept: the four members that every kind has on the
 * wire, as a form, and what the asker may do.
 */

export interface Access {
  Global: boolean;
  GIDs: number[] | null;
}

/** What all kinds have. Resources call their groups GroupACL, all others GIDs. */
export interface Shared {
  UID: number;
  GIDs?: number[] | null;
  GroupACL?: number[] | null;
  Global: boolean;
  WriteAccess?: Access | null;
  Labels?: string[] | null;
  Synced?: boolean;
}

export interface Asker {
  UID: number;
  Admin: boolean;
  Groups?: { GID: number; Name: string }[] | null;
}

export interface SharingForm {
  everybody: boolean;
  gids: number[];
  changeEverybody: boolean;
  changeGids: number[];
  labels: string;
}

export function groupsOf(thing: Shared): number[] {
  return thing.GIDs ?? thing.GroupACL ?? [];
}

export function sharingOf(thing: Shared | null): SharingForm {
  return {
    everybody: thing?.Global ?? false,
    gids: thing ? [...groupsOf(thing)] : [],
    changeEverybody: thing?.WriteAccess?.Global ?? false,
    changeGids: [...(thing?.WriteAccess?.GIDs ?? [])],
    labels: (thing?.Labels ?? []).join(', '),
  };
}

/** Labels as they are typed: with commas between them, each once. */
export function labelsOf(text: string): string[] {
  const all = text.split(',').map((label) => label.trim());
  return [...new Set(all.filter((label) => label !== ''))];
}

/** The members to be sent. `groups` is what this kind calls its groups. */
export function wireOf(form: SharingForm, groups: 'GIDs' | 'GroupACL' = 'GIDs') {
  return {
    [groups]: form.gids,
    Global: form.everybody,
    WriteAccess: { Global: form.changeEverybody, GIDs: form.changeGids },
    Labels: labelsOf(form.labels),
  };
}

/** What the server would say, so that a form need not be filled in vain. */
export function mayChange(thing: Shared | null, asker: Asker | null): boolean {
  if (!asker) {
    return false;
  }
  if (!thing || thing.UID === asker.UID || asker.Admin) {
    return true;
  }
  const own = new Set((asker.Groups ?? []).map((group) => group.GID));
  return (
    thing.WriteAccess?.Global === true ||
    (thing.WriteAccess?.GIDs ?? []).some((gid) => own.has(gid))
  );
}

/** Sharing and deleting are the owner's, whoever else may change it. */
export function mayShare(thing: Shared | null, asker: Asker | null): boolean {
  return asker !== null && (!thing || thing.UID === asker.UID || asker.Admin);
}

/** The marks of a row: short words on who else has it. */
export function marksOf(thing: Shared, asker: Asker | null): string[] {
  const marks: string[] = [];
  if (thing.Global) {
    marks.push('everybody');
  } else if (groupsOf(thing).length > 0) {
    marks.push('shared');
  }
  if (asker && thing.UID !== asker.UID) {
    marks.push(mayChange(thing, asker) ? 'of another user' : 'read only');
  }
  if (thing.Synced === false) {
    marks.push('this webserver only');
  }
  return [...marks, ...(thing.Labels ?? []).filter((label) => label !== 'hidden')];
}
