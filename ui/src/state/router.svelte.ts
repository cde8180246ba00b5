/*
 * The route in the address bar, as state. A page with something unsaved may ask to be asked: its
 * guard sees where the way leads, and whoever is not let go stays at the address.
 */
import { routeFromHash, routeToHash, type Route } from '../lib/route';

/** True: go. False: stay; the guard has asked, and goes there itself when that is the answer. */
type Guard = (to: Route) => boolean;

class Router {
  route: Route = $state.raw(routeFromHash(location.hash));
  private guard: Guard | null = null;
  private at = location.hash;

  constructor() {
    addEventListener('hashchange', () => {
      const to = routeFromHash(location.hash);
      if (location.hash !== this.at && this.guard && !this.guard(to)) {
        history.pushState(null, '', this.at || '#/search');
        return;
      }
      this.at = location.hash;
      this.route = to;
    });
  }

  /** The event of the address bar comes later: whoever asks meanwhile is already there. */
  go(route: Route): void {
    if (this.guard && !this.guard(route)) {
      return;
    }
    this.route = route;
    this.at = routeToHash(route);
    location.hash = this.at;
  }

  /** The same page at another address; the way back does not lead to the old one. */
  replace(route: Route): void {
    this.route = route;
    this.at = routeToHash(route);
    history.replaceState(null, '', this.at);
  }

  /** Returns how to be asked no more. */
  guarded(guard: Guard): () => void {
    this.guard = guard;
    return () => {
      if (this.guard === guard) {
        this.guard = null;
      }
    };
  }
}

export const router = new Router();
