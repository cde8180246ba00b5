/*
 * Who is logged in, and the one client of the API. A module's life is the page's life.
 *
 *     LOADING ──token still good──> IN ──logout──> OUT ──login──> IN
 *         └────────no token───────────────────────^
 *                                   IN ──401──> ENDED ──login──> IN
 *
 * ENDED keeps the page below the login as it is, dialogs included: nothing typed is lost.
 */
import { ApiClient, ApiError } from '../lib/api';
import { dueForRefresh, lifeOf } from '../lib/token';
import type { Settings, User } from '../lib/types';
import { attentive, hold } from './attention';

const TOKEN_KEY = 'aquifer.token';
const KNOWN_KEY = 'aquifer.known'; /* somebody has logged in from this browser before */

export const DEFAULT_USER = 'admin';
export const DEFAULT_PASSWORD = 'changeme';

/** How often it is looked whether the token is due for a new one. */
const REFRESH_LOOK_MS = 30_000;

type Phase = 'loading' | 'out' | 'in' | 'ended';

class Session {
  phase: Phase = $state('loading');
  user: User | null = $state(null);
  settings: Settings | null = $state(null);
  /** Why the login page is shown, when it is not the user's own doing. */
  notice: string = $state('');
  private typedDefault = $state(false);
  /** Counts the logins below which the page had stayed: what failed meanwhile is tried again. */
  returns = $state(0);
  newcomer = $state(localStorage.getItem(KNOWN_KEY) === null);

  readonly api = new ApiClient({
    fetch: (input, init) => fetch(input, init),
    token: () => localStorage.getItem(TOKEN_KEY),
    sessionEnded: () => this.expire(),
  });

  private readonly leaving: (() => void)[] = [];

  constructor() {
    // A logout in one tab is a logout in all of them; a login likewise.
    addEventListener('storage', (event) => {
      const here = event.newValue === null ? this.phase !== 'out' : this.phase !== 'in';
      if (event.key === TOKEN_KEY && here) {
        void this.resume();
      }
    });
    setInterval(() => void this.refreshToken(), REFRESH_LOOK_MS);
  }

  /** The password is the one that every new installation has. */
  get defaultPassword(): boolean {
    return this.user?.FirstPassword ?? this.typedDefault;
  }

  /** Nothing else goes on before it is another one. */
  get mustChangePassword(): boolean {
    return this.phase === 'in' && this.defaultPassword && !this.settings?.FirstPasswordMayStay;
  }

  /** What is to be dropped when nobody is logged in any more. */
  onLeave(drop: () => void): void {
    this.leaving.push(drop);
  }

  async resume(): Promise<void> {
    if (localStorage.getItem(TOKEN_KEY) === null) {
      this.leave('');
      return;
    }
    try {
      await this.enter();
    } catch (error) {
      if (error instanceof ApiError && error.kind === 'unauthorized') {
        return; /* expire() has done the rest */
      }
      this.leave(error instanceof Error ? error.message : String(error));
    }
  }

  async refreshSettings(): Promise<Settings> {
    this.settings = await this.api.settings();
    return this.settings;
  }

  isUnreachable(error: unknown): boolean {
    return error instanceof ApiError && (error.kind === 'network' || error.kind === 'unavailable');
  }

  async login(user: string, password: string): Promise<void> {
    const token = await this.api.login(user, password);
    localStorage.setItem(TOKEN_KEY, token);
    await this.enter();
    localStorage.setItem(KNOWN_KEY, 'yes');
    this.newcomer = false;
    this.typedDefault = user === DEFAULT_USER && password === DEFAULT_PASSWORD;
  }

  async logout(): Promise<void> {
    this.drop(); /* while the token is still good for saying goodbye */
    try {
      await this.api.logout();
    } finally {
      localStorage.removeItem(TOKEN_KEY);
      this.leave('');
    }
  }

  /** Gives up what waits below the login. */
  forget(): void {
    localStorage.removeItem(TOKEN_KEY);
    this.leave('');
  }

  async changePassword(old: string, fresh: string): Promise<void> {
    await this.api.changePassword(this.user?.UID ?? 0, old, fresh);
    this.typedDefault = fresh === DEFAULT_PASSWORD;
    if (this.user) {
      this.user = { ...this.user, FirstPassword: this.typedDefault };
    }
    // Other sessions may end with the old password; this one goes on with a new token.
    if (this.user) {
      localStorage.setItem(TOKEN_KEY, await this.api.login(this.user.User, fresh));
    }
  }

  /** Whoever is at work stays logged in. A failure is no harm yet: there is time to try again. */
  private async refreshToken(): Promise<void> {
    const token = localStorage.getItem(TOKEN_KEY);
    if (
      this.phase === 'in' &&
      token !== null &&
      attentive() &&
      dueForRefresh(lifeOf(token), Date.now())
    ) {
      await this.api
        .refreshToken((fresh) => localStorage.setItem(TOKEN_KEY, fresh))
        .catch(() => undefined);
    }
  }

  private async enter(): Promise<void> {
    const [user, settings] = await Promise.all([this.api.whoami(), this.api.settings()]);
    if (this.user && this.user.UID !== user.UID) {
      this.drop(); /* somebody else goes on: nothing of the one before stays */
    }
    this.user = user;
    this.settings = settings;
    this.notice = '';
    this.returns += this.phase === 'ended' ? 1 : 0;
    this.phase = 'in';
    hold(false);
  }

  private expire(): void {
    if (this.phase === 'out' || this.phase === 'ended') {
      return; /* several requests may find out at once */
    }
    if (this.phase === 'in') {
      hold(true);
      this.phase = 'ended';
      this.notice = 'Your session has ended. Log in again: what you typed is still here.';
      return;
    }
    localStorage.removeItem(TOKEN_KEY);
    this.leave('');
  }

  private leave(notice: string): void {
    this.drop();
    hold(false);
    this.phase = 'out';
    this.notice = notice;
    this.user = null;
    this.typedDefault = false;
  }

  private drop(): void {
    for (const drop of this.leaving) {
      drop();
    }
  }
}

export const session = new Session();
