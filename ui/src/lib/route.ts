/*
 * The address bar. Everything that is worth a link is behind the `#`, so the server needs no routes
 * of the page and a reload shows the same:
 *
 *     #/search?q=tag%3Dweb&t=1h      a query and its time range; it runs when the link is opened
 *     #/search?q=...&t=...&id=4711   a kept search: what it found is shown, and nothing runs
 *     #/dashboards/5?t=24h&v.host=web1        a dashboard as it is looked at (dashboard-link.ts)
 *     #/searches       #/history        #/dashboards        #/dashboards/770021934517        #/systems
 *    #/people         #/account       #/resources, #/macros and the others of library.ts
 */
import { LIBRARY_PAGES, type LibraryPage } from './library';
import { DEFAULT_RANGE, rangeFromText, rangeToText, type TimeRange } from './time';

export type Route =
  | { page: 'search'; query: string; range: TimeRange; id?: string }
  | { page: 'searches' }
  | { page: 'history' }
  | { page: 'dashboards' }
  | { page: 'systems' }
  | { page: 'people' }
  | { page: LibraryPage }
  | { page: 'account' }
  | { page: 'dashboard'; id: number; view?: string };

/** Pages whose address is nothing but their name. */
const PLAIN = [
  'searches',
  'history',
  'dashboards',
  'systems',
  'people',
  'account',
  ...LIBRARY_PAGES.map((one) => one.page),
] as const;

export function routeToHash(route: Route): string {
  switch (route.page) {
    case 'search': {
      if (route.query === '') {
        return '#/search';
      }
      const parameters = new URLSearchParams({
        q: route.query,
        t: rangeToText(route.range),
        ...(route.id ? { id: route.id } : {}),
      });
      return `#/search?${parameters}`;
    }
    case 'dashboard':
      return `#/dashboards/${route.id}${route.view ? `?${route.view}` : ''}`;
    default:
      return `#/${route.page}`;
  }
}

/** Whatever cannot be understood is the empty search page: a link must never show nothing. */
export function routeFromHash(hash: string): Route {
  const [path = '', parameters = ''] = splitOnce(hash.replace(/^#\/?/, ''), '?');
  const plain = PLAIN.find((page) => page === path);
  if (plain) {
    return { page: plain };
  }
  const id = /^dashboards\/([0-9]{1,16})$/.exec(path)?.[1];
  if (id !== undefined && Number.isSafeInteger(Number(id))) {
    return { page: 'dashboard', id: Number(id), ...(parameters ? { view: parameters } : {}) };
  }
  const values = new URLSearchParams(path === 'search' ? parameters : '');
  const kept = values.get('id') ?? '';
  return {
    page: 'search',
    query: values.get('q') ?? '',
    range: rangeFromText(values.get('t') ?? '') ?? DEFAULT_RANGE,
    ...(/^[0-9]{1,20}$/.test(kept) ? { id: kept } : {}),
  };
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + separator.length)];
}
