/* The route in the address bar, as state. */
import { routeFromHash, routeToHash, type Route } from '../lib/route';

class Router {
  route: Route = $state.raw(routeFromHash(location.hash));

  constructor() {
    addEventListener('hashchange', () => {
      this.route = routeFromHash(location.hash);
    });
  }

  go(route: Route): void {
    location.hash = routeToHash(route);
  }
}

export const router = new Router();
