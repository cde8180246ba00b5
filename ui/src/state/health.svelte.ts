/* Asks the webserver every now and then whether all it needs is there. */
import { healthOfReadiness, healthOfSettings, type Health } from '../lib/health';
import { repeat } from './attention';
import { session } from './session.svelte';

const INTERVAL_MS = 10_000;
const INTERVAL_TROUBLED_MS = 2_000;

class HealthWatch {
  health: Health = $state.raw({ state: 'ok' });

  start(): () => void {
    return repeat(async () => {
      this.health = await this.look();
      return this.health.state === 'ok' ? INTERVAL_MS : INTERVAL_TROUBLED_MS;
    });
  }

  private async look(): Promise<Health> {
    try {
      if (session.phase === 'in') {
        return healthOfSettings(await session.refreshSettings());
      }
      const { status, body } = await session.api.readiness();
      return healthOfReadiness(status, body);
    } catch (error) {
      return session.isUnreachable(error) ? { state: 'away' } : this.health;
    }
  }
}

export const healthWatch = new HealthWatch();
