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

function list(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

class Preferences {
  /** Dashboards, by their uuid. */
  favourites: string[] = $state.raw([]);
  /** Notifications to everybody that this user has seen enough of. */
  dismissed: string[] = $state.raw([]);
  /** Whose they are: pages wait for this, so that none is drawn anew under somebody's hands. */
  of: number | null = $state(null);
  private all: Record<string, unknown> = {};
  private turn: Promise<void> = Promise.resolve();

  /**
   * Theme and, right after a login, the range as the user wishes them: what was chosen since, and
   * what a link says, stays. The server being away changes nothing.
   */
  async load(withRange: boolean): Promise<void> {
    const user = session.user?.UID ?? null;
    await this.turn; /* what was chosen last is not taken back */
    const all = await session.api.get<Record<string, unknown> | null>(this.path()).then(
      (kept) => kept ?? {},
      () => null,
    );
    if (all !== null) {
      this.all = all;
      this.apply(withRange);
    }
    this.of = user;
    if (this.dismissing().length > 0) {
      void this.tellDismissed().catch(() => undefined);
    }
  }

  private apply(withRange: boolean): void {
    zone.set(this.all['TimeZone']);
    const kept = (this.all['aquifer'] ?? {}) as Kept;
    if (kept.theme === 'light' || kept.theme === 'dark' || kept.theme === 'auto') {
      theme.set(kept.theme);
    }
    this.take(kept);
    const range = rangeFromText(kept.range ?? '');
    const linked = router.route.page === 'search' && router.route.query !== '';
    if (range && withRange && !linked) {
      app.setRange(range);
    }
  }

  private take(kept: Kept): void {
    this.favourites = list(kept.favourites);
    this.dismissed = [...new Set([...list(kept.dismissed), ...this.dismissing()])];
  }

  async save(choice: Theme, range: string, timeZone: string): Promise<void> {
    await this.change((kept) => ({ ...kept, theme: choice, range }), { TimeZone: timeZone });
  }

  /** As it looks here it looks everywhere; a server that is away hears of it another time. */
  async keepTheme(choice: Theme): Promise<void> {
    await this.change((kept) => ({ ...kept, theme: choice })).catch(() => undefined);
  }

  async favour(dashboard: string, wanted: boolean): Promise<void> {
    await this.change((kept) => {
      const others = list(kept.favourites).filter((one) => one !== dashboard);
      return { ...kept, favourites: wanted ? [...others, dashboard] : others };
    });
  }

  /** It is gone at once, and stays so: what the server has not heard of is told it later. */
  async dismiss(notification: string): Promise<void> {
    this.keepDismissing([...this.dismissing(), notification]);
    this.dismissed = [...this.dismissed, notification];
    await this.tellDismissed();
  }

  private async tellDismissed(): Promise<void> {
    const told = this.dismissing();
    await this.change((kept) => ({
      ...kept,
      dismissed: [...new Set([...list(kept.dismissed), ...told])].slice(-DISMISSED_MAX),
    }));
    this.keepDismissing(this.dismissing().filter((one) => !told.includes(one)));
  }

  /** Dismissed here, and not yet confirmed by the server: a reload must not bring it back. */
  private dismissing(): string[] {
    try {
      return list(JSON.parse(localStorage.getItem(this.storage()) ?? 'null'));
    } catch {
      return [];
    }
  }

  private keepDismissing(notifications: string[]): void {
    if (notifications.length === 0) {
      localStorage.removeItem(this.storage());
      return;
    }
    try {
      localStorage.setItem(this.storage(), JSON.stringify(notifications.slice(-DISMISSED_MAX)));
    } catch {
      /* the storage is full: the page still has it */
    }
  }

  private storage(): string {
    return `aquifer.dismissing.${session.user?.UID ?? 0}`;
  }

  /**
   * Begins with what is kept now, which another browser may have changed meanwhile; one change
   * after the other.
   */
  private change(edit: (kept: Kept) => Kept, more: Record<string, unknown> = {}): Promise<void> {
    const changed = this.turn.then(async () => {
      const now = (await session.api.get<Record<string, unknown> | null>(this.path())) ?? {};
      const kept = edit((now['aquifer'] ?? {}) as Kept);
      const all = { ...now, ...more, aquifer: kept };
      await session.api.change('PUT', this.path(), all);
      this.all = all;
      this.take(kept);
    });
    this.turn = changed.catch(() => undefined);
    return changed;
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
