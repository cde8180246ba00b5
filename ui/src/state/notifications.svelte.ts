/* The notifications of who is logged in, for the bell and the page "Systems". */
import { isHidden, keyOf, notificationsOf, type WireNotification } from '../lib/notification';
import { Turns } from '../lib/turns';
import { repeat } from './attention';
import { preferences } from './preferences.svelte';
import { session } from './session.svelte';

const INTERVAL_MS = 5000;

class NotificationWatch {
  private wire: Record<string, WireNotification> = $state.raw({});
  private readonly turns = new Turns();
  readonly all = $derived(notificationsOf(this.wire, preferences.dismissed));

  start(): () => void {
    return repeat(async (signal) => {
      await this.look(signal);
      return INTERVAL_MS;
    });
  }

  async look(signal?: AbortSignal): Promise<void> {
    const isNews = this.turns.next();
    const seen = await session.api
      .get<Record<string, WireNotification> | null>('/api/notifications', signal)
      .then((answer) => answer ?? {})
      .catch(() => this.wire);
    if (isNews()) {
      this.wire = seen;
    }
  }

  async dismiss(id: string): Promise<void> {
    const one = this.wire[id];
    if (!one) {
      return;
    }
    if (isHidden(one, session.user?.UID ?? 0)) {
      await preferences.dismiss(keyOf(id, one));
    } else {
      await this.takeBack(id);
    }
  }

  /** For everybody who has it. */
  async takeBack(id: string): Promise<void> {
    await session.api.change('DELETE', `/api/notifications/${encodeURIComponent(id)}`);
    this.turns.pass();
    const { [id]: _gone, ...rest } = this.wire;
    this.wire = rest;
  }
}

export const notificationWatch = new NotificationWatch();
