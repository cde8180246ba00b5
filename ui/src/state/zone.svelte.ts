/*
 * The zone in force (lib/zone.ts), for pages to follow: App draws the page anew when it changes. It
 * is the preference `TimeZone` of who is logged in: `local`, `UTC` or a name like `Europe/Prague`.
 */
import { LOCAL, setTimeZone } from '../lib/zone';

class Zone {
  name: string = $state(LOCAL);

  /** What is no zone is the browser's own. */
  set(wish: unknown): void {
    const name = typeof wish === 'string' && wish !== '' ? wish : LOCAL;
    this.name = setTimeZone(name) ? name : LOCAL;
    setTimeZone(this.name);
  }
}

export const zone = new Zone();
