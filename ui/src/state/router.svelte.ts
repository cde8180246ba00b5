/* The route in the address bar, as state. */
import { routeFromHash, routeToHash, type Route } from '../lib/route';

class Router {
  route: Route = $state.raw(routeFromHash(location.hash));

  constructor() {
    addEventListener('hashchange', () => {
      this.route = routeFromHash(location.hash);
    });
  }

  /** The event of the address bar comes later: whoever asks meanwhile is already there. */
  go(route: Route): void {
    this.route = route;
    location.hash = routeToHash(route);
  }
}

export const router = new Router();
