/*
 * One dashboard on the screen: as the server has it, and as somebody edits it.
 *
 *     LOADING ──> SHOWN ──edit()──> EDITING ──saved, discarded──> SHOWN
 *                   ^                  └──somebody else was first──> `theirs` is there: a choice
 *                   └──a newer version, taken at once
 *
 * What is typed is kept in the browser at every change, under the user's number, until it is saved
 * or discarded: a lost connection, the end of a session or a reload cost nothing.
 */
import { ApiError } from '../lib/api';
import {
  addDashboard,
  draftOf,
  saveDashboard,
  shareDashboard,
  wireOf,
  type Sharing,
  type WireDraft,
} from '../lib/api-dashboard';
import type { Draft } from '../lib/dashboard';
import { merged, sameDraft, verdict } from '../lib/dashboard-conflict';
import { edited, editsOf, redone, undone, type Edits } from '../lib/dashboard-edits';
import { Turns } from '../lib/turns';
import type { Dashboard } from '../lib/types';
import { repeat } from './attention';
import { session } from './session.svelte';

const LOOK_MS = 2500;
const KEY = 'aquifer.dashboard';

/** In the form of the wire: a later version of this page may read it. */
interface Kept {
  base: Dashboard;
  draft: WireDraft;
  at: number;
}

/** The dashboard that opens for editing, because it has just been made. */
let fresh = 0;
export function editNext(id: number): void {
  fresh = id;
}

export class OpenDashboard {
  /** The version that is shown, or that the edit began with. */
  base: Dashboard | null = $state.raw(null);
  edits: Edits<Draft> | null = $state.raw(null);
  /** A version that somebody else made while ours is unsaved. */
  theirs: Dashboard | null = $state.raw(null);
  /** Ours was kept as a copy: two were equally fast. */
  copied = $state(false);
  /** When what is being edited was typed, if before this page was opened. */
  keptSince: number | null = $state(null);
  error = $state('');
  gone = $state(false);
  saving = $state(false);
  /** Counts versions that came from elsewhere, to be said. */
  taken = $state(0);

  /** What was saved and is not at the datastore yet: somebody else's may win there. */
  private pending: Draft | null = null;
  private readonly turns = new Turns();
  private readonly key: string;

  readonly draft: Draft | null = $derived(
    this.edits?.present ?? (this.base ? draftOf(this.base) : null),
  );
  readonly unsaved = $derived(
    this.edits !== null && !sameDraft(this.edits.base, this.edits.present),
  );
  readonly mayEdit = $derived(this.base?.Can?.Modify !== false);

  constructor(readonly id: number) {
    this.key = `${KEY}.${session.user?.UID ?? 0}.${id}`;
  }

  /** Loads it and goes on looking for newer versions. Returns how to end that. */
  start(): () => void {
    this.recall();
    return repeat(async (signal) => {
      const isNews = this.turns.next();
      try {
        const seen = await session.api.dashboard(this.id, signal);
        this.error = '';
        this.gone = false;
        if (isNews()) {
          this.look(seen);
        }
      } catch (reason) {
        if (reason instanceof ApiError && reason.kind === 'missing') {
          this.gone = true;
        } else if (!(reason instanceof ApiError && reason.kind === 'aborted')) {
          this.error = textOf(reason);
        }
      }
      return LOOK_MS;
    });
  }

  private look(seen: Dashboard): void {
    const known = this.base;
    if (known === null) {
      this.base = seen;
      if (fresh === seen.ID) {
        fresh = 0;
        this.edit();
      }
      return;
    }
    if (this.saving) {
      return;
    }
    if (seen.Change === known.Change) {
      this.pending = seen.Synced ? null : this.pending;
      this.base = this.edits ? known : seen;
      return;
    }
    if (this.pending) {
      this.edits = editsOf(draftOf(known), this.pending);
      this.copied = true;
      this.pending = null;
    }
    switch (verdict(known.Change ?? '', seen.Change ?? '', this.unsaved)) {
      case 'conflict':
        this.theirs = seen;
        break;
      case 'take':
        this.base = seen;
        this.edits = this.edits ? editsOf(draftOf(seen)) : null;
        this.taken++;
        break;
      case 'nothing':
    }
  }

  /* ---- editing ---- */

  edit(): void {
    if (this.base && !this.edits) {
      this.edits = editsOf(draftOf(this.base));
    }
  }

  change(draft: Draft, topic = ''): void {
    this.edit();
    if (this.edits) {
      this.set(edited(this.edits, draft, topic));
    }
  }

  undo(): void {
    if (this.edits) {
      this.set(undone(this.edits));
    }
  }

  redo(): void {
    if (this.edits) {
      this.set(redone(this.edits));
    }
  }

  /** Back to what the server has; nothing of the edit stays. */
  discard(): void {
    this.turns.pass();
    this.edits = null;
    this.keptSince = null;
    this.base = this.theirs ?? this.base;
    this.theirs = null;
    this.copied = false;
    this.forget();
  }

  private set(edits: Edits<Draft>): void {
    this.edits = edits;
    if (this.unsaved && this.base) {
      const kept: Kept = { base: this.base, draft: wireOf(edits.present), at: Date.now() };
      try {
        localStorage.setItem(this.key, JSON.stringify(kept));
      } catch {
        /* the storage is full: the page still has it */
      }
    } else {
      this.forget();
    }
  }

  private recall(): void {
    try {
      const kept = JSON.parse(localStorage.getItem(this.key) ?? 'null') as Kept | null;
      if (kept?.base.ID === this.id && kept.draft.Data) {
        this.base = kept.base;
        this.edits = editsOf(draftOf(kept.base), draftOf(kept.draft));
        this.keptSince = kept.at;
      }
    } catch {
      this.forget();
    }
  }

  private forget(): void {
    localStorage.removeItem(this.key);
  }

  /* ---- saving ---- */

  /** True when it is done. A conflict leaves `theirs`, any other failure is thrown. */
  async save(): Promise<boolean> {
    const [base, draft] = [this.base, this.edits?.present];
    if (!base || !draft || this.saving) {
      return false;
    }
    this.saving = true;
    try {
      const answer = await saveDashboard(session.api, base, draft);
      if (answer.CopiedBeside) {
        this.copied = true;
        this.theirs = await session.api.dashboard(this.id);
        return false;
      }
      this.pending = answer.Synced ? null : draft;
      this.base = answer;
      this.discard();
      return true;
    } catch (reason) {
      if (reason instanceof ApiError && reason.status === 409) {
        this.theirs = await session.api.dashboard(this.id);
        return false;
      }
      throw reason;
    } finally {
      this.saving = false;
    }
  }

  /** A new dashboard with what is on the screen; its number. */
  async saveCopy(name: string): Promise<number> {
    const draft = this.draft;
    const id = draft ? await addDashboard(session.api, { ...draft, name }) : 0;
    this.discard();
    return id;
  }

  /** What is being edited stays as it is. */
  async share(sharing: Sharing): Promise<void> {
    if (this.base) {
      this.base = await shareDashboard(session.api, this.base, sharing);
      this.turns.pass();
    }
  }

  /* ---- a conflict ---- */

  /** Mine takes the place of theirs when it is saved. */
  keepMine(): void {
    const draft = this.edits?.present;
    if (this.theirs && draft) {
      this.settle(draft);
    }
  }

  /** Theirs; mine is one step back, for who regrets it. */
  takeTheirs(): void {
    if (this.theirs) {
      this.settle(draftOf(this.theirs));
    }
  }

  readonly union: Draft | null = $derived(
    this.theirs && this.edits
      ? merged(this.edits.base, this.edits.present, draftOf(this.theirs))
      : null,
  );

  unite(): void {
    if (this.union) {
      this.settle(this.union);
    }
  }

  private settle(present: Draft): void {
    const before = this.edits?.present;
    const theirs = this.theirs;
    if (!theirs || !before) {
      return;
    }
    this.turns.pass();
    this.base = theirs;
    this.theirs = null;
    this.copied = false;
    const base = draftOf(theirs);
    const past = before === present ? [base] : [base, before];
    this.set({ base, past, present, future: [], topic: '' });
  }
}

function textOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}
