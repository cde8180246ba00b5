import { describe, expect, it } from 'vitest';
import { routeFromHash, routeToHash, type Route } from './route';
import { DEFAULT_RANGE, HOUR } from './time';

describe('the address', () => {
  it('carries a query of any characters and its range', () => {
    const queries = [
      'tag=web',
      'tag=a,b-* grep "50% & more" | limit 5',
      'tag=x grep ünï #/?&=+\n😀',
      '<script>',
    ];
    for (const query of queries) {
      const route: Route = { page: 'search', query, range: { kind: 'last', ms: 24 * HOUR } };
      expect(routeFromHash(routeToHash(route))).toEqual(route);
    }
  });

  it('carries a kept search', () => {
    const range = { kind: 'absolute' as const, from: 1_700_000_000_000, to: 1_700_000_060_000 };
    const route: Route = { page: 'search', query: 'tag=x', range, id: '18446744073709551615' };
    expect(routeFromHash(routeToHash(route))).toEqual(route);
    expect(routeFromHash('#/search?q=tag%3Dx&id=../users')).not.toHaveProperty('id');
  });

  it('leads to every page', () => {
    const routes: Route[] = [
      { page: 'searches' },
      { page: 'history' },
      { page: 'dashboards' },
      { page: 'systems' },
      { page: 'people' },
      { page: 'resources' },
      { page: 'account' },
      { page: 'dashboard', id: 770021934517 },
    ];
    for (const route of routes) {
      expect(routeFromHash(routeToHash(route))).toEqual(route);
    }
  });

  it('shows the empty search when it is nonsense', () => {
    for (const hash of [
      '',
      '#',
      '#/',
      '#/nowhere',
      '#/dashboards/x',
      '#/dashboards/99999999999999999',
      '#history/1',
    ]) {
      expect(routeFromHash(hash), hash).toEqual({
        page: 'search',
        query: '',
        range: DEFAULT_RANGE,
      });
    }
  });

  it('keeps the query when only the range is nonsense', () => {
    expect(routeFromHash('#/search?q=tag%3Dx&t=soon')).toEqual({
      page: 'search',
      query: 'tag=x',
      range: DEFAULT_RANGE,
    });
  });
});
