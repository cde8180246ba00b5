/*
 * The actionables of this user, for pages that show results: asked for when a value is looked at,
 * and again when that is a while ago.
 */
import type { Actionable } from '../lib/actionable';
import { session } from './session.svelte';

const AGE_MS = 5000;

class Actionables {
  all: Actionable[] = $state.raw([]);
  private askedMs = 0;

  constructor() {
    session.onLeave(() => {
      this.all = [];
      this.askedMs = 0;
    });
  }

  /** Cheap to call. */
  async refresh(): Promise<void> {
    if (Date.now() - this.askedMs < AGE_MS) {
      return;
    }
    this.askedMs = Date.now();
    try {
      this.all = (await session.api.get<Actionable[] | null>('/api/pivots')) ?? [];
    } catch {
      /* actions are a comfort: the next look may bring them */
    }
  }
}

export const actionables = new Actionables();
