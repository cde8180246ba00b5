/* Asks the webserver every now and then whether all it needs is there. */
import { healthOf, type Health } from '../lib/health';
import { session } from './session.svelte';

const INTERVAL_MS = 10_000;
const INTERVAL_TROUBLED_MS = 3_000;

class HealthWatch {
  health: Health = $state.raw({ state: 'unknown' });
  private timer: ReturnType<typeof setTimeout> | undefined;

  start(): void {
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) {
        void this.look();
      }
    });
    void this.look();
  }

  private async look(): Promise<void> {
    clearTimeout(this.timer);
    if (!document.hidden) {
      try {
        const { status, body } = await session.api.readiness();
        this.health = healthOf(status, body);
      } catch {
        this.health = { state: 'away' };
      }
    }
    const well = this.health.state === 'ok' || this.health.state === 'unknown';
    this.timer = setTimeout(() => void this.look(), well ? INTERVAL_MS : INTERVAL_TROUBLED_MS);
  }
}

export const healthWatch = new HealthWatch();
