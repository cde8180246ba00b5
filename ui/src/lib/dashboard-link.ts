/*
 * What of a dashboard is in the address bar, behind its number:
 *
 *     #/dashboards/5?t=24h&r=30&v.host=web1&v.host=web2&tile=3&kiosk
 *
 * the time range, the automatic refresh in seconds, values of variables (several, if a variable may
 * have several), the tile that fills the
 * page, and whether the dashboard alone is on the screen. Whoever opens the link sees the same.
 */
import { manyOf, oneOf, type Values } from './dashboard-variables';
import { rangeFromText, rangeToText, type TimeRange } from './time';

export interface View {
  /** Null: as the dashboard says. */
  range: TimeRange | null;
  refreshSeconds: number | null;
  values: Values;
  tile: number | null;
  kiosk: boolean;
}

export const NO_VIEW: View = {
  range: null,
  refreshSeconds: null,
  values: {},
  tile: null,
  kiosk: false,
};

const VALUE_PREFIX = 'v.';
const SECONDS_MAX = 86_400;

export const REFRESHES: { seconds: number; label: string }[] = [
  { seconds: 0, label: 'Off' },
  { seconds: 10, label: '10 s' },
  { seconds: 30, label: '30 s' },
  { seconds: 60, label: '1 m' },
  { seconds: 300, label: '5 m' },
  { seconds: 900, label: '15 m' },
  { seconds: 3600, label: '1 h' },
];

export function refreshLabel(seconds: number): string {
  return REFRESHES.find((one) => one.seconds === seconds)?.label ?? `${seconds} s`;
}

function number(text: string | null, most: number): number | null {
  return text !== null && /^\d{1,16}$/.test(text) && Number(text) <= most ? Number(text) : null;
}

export function viewFromText(text: string): View {
  const parameters = new URLSearchParams(text);
  const values: Record<string, string> = {};
  for (const [name, value] of parameters) {
    if (name.startsWith(VALUE_PREFIX)) {
      const key = name.slice(VALUE_PREFIX.length);
      const before = values[key];
      values[key] = before ? oneOf([before, value]) : value;
    }
  }
  const seconds = number(parameters.get('r'), SECONDS_MAX);
  return {
    range: rangeFromText(parameters.get('t') ?? ''),
    refreshSeconds: seconds !== null && (seconds === 0 || seconds >= 5) ? seconds : null,
    values,
    tile: number(parameters.get('tile'), Number.MAX_SAFE_INTEGER),
    kiosk: parameters.has('kiosk'),
  };
}

export function viewToText(view: View): string {
  const parameters = new URLSearchParams();
  if (view.range) {
    parameters.set('t', rangeToText(view.range));
  }
  if (view.refreshSeconds !== null) {
    parameters.set('r', String(view.refreshSeconds));
  }
  for (const [name, value] of Object.entries(view.values)) {
    for (const one of value === '' ? [''] : manyOf(value)) {
      parameters.append(VALUE_PREFIX + name, one);
    }
  }
  if (view.tile !== null) {
    parameters.set('tile', String(view.tile));
  }
  const text = parameters.toString();
  return view.kiosk ? (text === '' ? 'kiosk' : `${text}&kiosk`) : text;
}
