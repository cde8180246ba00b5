/*
 * What this user prefers on every browser: kept by the server. Other members of the object, of
 * other clients or later versions, stay as they are.
 */
import { rangeFromText } from '../lib/time';
import { LOCAL } from '../lib/zone';
import { app } from './app.svelte';
import { router } from './router.svelte';
import { session } from './session.svelte';
import { theme, type Theme } from './theme.svelte';
import { zone } from './zone.svelte';

const DISMISSED_MAX = 100;

interface Kept {
  theme?: string;
  range?: string;
  favourites?: string[];
  dismissed?: string[];
}

class Preferences {
  /** Dashboards, by their uuid. */
  favourites: string[] = $state.raw([]);
  /** Notifications to everybody that this user has seen enough of. */
  dismissed: string[] = $state.raw([]);
  /** Whose they are: pages wait for this, so that none is drawn anew under somebody's hands. */
  of: number | null = $state(null);
  private all: Record<string, unknown> = {};

  /**
   * Theme and, right after a login, the range as the user wishes them: what was chosen since, and
   * what a link says, stays. The server being away changes nothing.
   */
  async load(withRange: boolean): Promise<void> {
    const user = session.user?.UID ?? null;
    const all = await session.api.get<Record<string, unknown> | null>(this.path()).then(
      (kept) => kept ?? {},
      () => null,
    );
    if (all !== null) {
      this.all = all;
      this.apply(withRange);
    }
    this.of = user;
  }

  private apply(withRange: boolean): void {
    zone.set(this.all['TimeZone']);
    const kept = (this.all['aquifer'] ?? {}) as Kept;
    if (kept.theme === 'light' || kept.theme === 'dark' || kept.theme === 'auto') {
      theme.set(kept.theme);
    }
    this.favourites = Array.isArray(kept.favourites) ? kept.favourites : [];
    this.dismissed = Array.isArray(kept.dismissed) ? kept.dismissed : [];
    const range = rangeFromText(kept.range ?? '');
    const linked = router.route.page === 'search' && router.route.query !== '';
    if (range && withRange && !linked) {
      app.setRange(range);
    }
  }

  async save(choice: Theme, range: string, timeZone: string): Promise<void> {
    const kept = { ...(this.all['aquifer'] as Kept | undefined), theme: choice, range };
    this.all = { ...this.all, TimeZone: timeZone, aquifer: kept };
    await session.api.change('PUT', this.path(), this.all);
  }

  /** Looks first what has been changed elsewhere meanwhile. */
  async favour(dashboard: string, wanted: boolean): Promise<void> {
    await this.load(false);
    const others = this.favourites.filter((one) => one !== dashboard);
    const favourites = wanted ? [...others, dashboard] : others;
    this.all = { ...this.all, aquifer: { ...(this.all['aquifer'] as Kept), favourites } };
    await session.api.change('PUT', this.path(), this.all);
    this.favourites = favourites;
  }

  async dismiss(notification: string): Promise<void> {
    await this.load(false);
    this.dismissed = [...this.dismissed, notification].slice(-DISMISSED_MAX);
    const kept = { ...(this.all['aquifer'] as Kept | undefined), dismissed: this.dismissed };
    this.all = { ...this.all, aquifer: kept };
    await session.api.change('PUT', this.path(), this.all);
  }

  get timeZone(): string {
    return typeof this.all['TimeZone'] === 'string' ? this.all['TimeZone'] : LOCAL;
  }

  get range(): string {
    return ((this.all['aquifer'] ?? {}) as Kept).range ?? '';
  }

  private path(): string {
    return `/api/users/${session.user?.UID ?? 0}/preferences`;
  }
}

export const preferences = new Preferences();
