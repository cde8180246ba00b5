/*
 * Dashboards as files: JSON of one dashboard, as this page exports it or as the web API of this and
 * other servers answers it; a bare `Data` does, too. What is wrong is said with its place
 * (`Data.tiles[3].span.col`), all of it at once; nothing is imported then.
 */
import { readBoard, TILES_MAX } from './dashboard';
import { COLUMNS } from './dashboard-grid';
import { readTimeframe } from './dashboard-time';
import { NAME, bareName } from './dashboard-variables';
import type { Dashboard, DashboardData } from './types';

export const FORMAT = 'aquifer-dashboard';
export const FORMAT_VERSION = 1;
export const IMPORT_BYTES_MAX = 4 * 1024 * 1024;
const PROBLEMS_MAX = 20;
const NAME_MAX = 200;

export interface Problem {
  /** Where: a path of members, or line and column of text that is not JSON. */
  place: string;
  message: string;
}

export interface Imported {
  name: string;
  description: string;
  labels: string[];
  data: DashboardData;
}

export type Import = { good: Imported } | { problems: Problem[] };

type Members = Record<string, unknown>;

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function kindOf(value: unknown): string {
  if (value === null) {
    return 'null';
  }
  return Array.isArray(value) ? 'a list' : isObject(value) ? 'an object' : `a ${typeof value}`;
}

/** Looks at members of one object and collects what is wrong with them. */
class Checker {
  readonly problems: Problem[] = [];

  say(place: string, message: string): void {
    if (this.problems.length < PROBLEMS_MAX) {
      this.problems.push({ place, message });
    }
  }

  /** Absent and null are fine. */
  optional(
    of: Members,
    member: string,
    place: string,
    type: 'string' | 'number' | 'boolean',
  ): void {
    const value = of[member];
    if (value !== undefined && value !== null && typeof value !== type) {
      this.say(`${place}.${member}`, `must be a ${type}, not ${kindOf(value)}`);
    }
  }

  list(of: Members, member: string, place: string): unknown[] {
    const value = of[member];
    if (value !== undefined && value !== null && !Array.isArray(value)) {
      this.say(`${place}.${member}`, `must be a list, not ${kindOf(value)}`);
    }
    return Array.isArray(value) ? (value as unknown[]) : [];
  }

  objects(of: Members, member: string, place: string, each: (item: Members, at: string) => void) {
    this.list(of, member, place).forEach((item, index) => {
      const at = `${place}.${member}[${index}]`;
      if (isObject(item)) {
        each(item, at);
      } else {
        this.say(at, `must be an object, not ${kindOf(item)}`);
      }
    });
  }

  timeframe(of: Members, place: string): void {
    const value = of['timeframe'];
    if (value === undefined || value === null) {
      return;
    }
    if (!isObject(value)) {
      this.say(`${place}.timeframe`, `must be an object, not ${kindOf(value)}`);
    } else if (value['timeframe'] && !readTimeframe(value)) {
      this.say(`${place}.timeframe`, `“${String(value['timeframe'])}” is no time range`);
    }
  }

  span(tile: Members, place: string): void {
    const span = tile['span'];
    if (span === undefined || span === null) {
      return;
    }
    if (!isObject(span)) {
      this.say(`${place}.span`, `must be an object, not ${kindOf(span)}`);
      return;
    }
    for (const [member, least, most] of [
      ['col', 1, COLUMNS],
      ['row', 1, 1000],
      ['x', 0, COLUMNS - 1],
      ['y', 0, 10_000],
    ] as const) {
      const value = span[member];
      if (typeof value !== 'number' || value < least || value > most) {
        this.say(`${place}.span.${member}`, `must be a number from ${least} to ${most}`);
      }
    }
  }

  data(data: Members, place: string): void {
    const searches = this.list(data, 'searches', place).length;
    this.objects(data, 'searches', place, (search, at) => {
      this.optional(search, 'alias', at, 'string');
      this.timeframe(search, at);
      if (typeof search['query'] !== 'string') {
        this.say(`${at}.query`, `must be a string, not ${kindOf(search['query'])}`);
      }
    });
    this.objects(data, 'tiles', place, (tile, at) => {
      const index = tile['searchesIndex'];
      this.span(tile, at);
      this.optional(tile, 'title', at, 'string');
      this.optional(tile, 'renderer', at, 'string');
      if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index >= searches) {
        const range = searches > 0 ? `0 to ${searches - 1}` : 'none: there are no searches';
        this.say(`${at}.searchesIndex`, `must be the number of a search (${range})`);
      }
    });
    if (this.list(data, 'tiles', place).length > TILES_MAX) {
      this.say(`${place}.tiles`, `more than ${TILES_MAX} tiles`);
    }
    this.objects(data, 'variables', place, (variable, at) => {
      const name = variable['name'];
      if (typeof name !== 'string' || !NAME.test(bareName(name))) {
        this.say(`${at}.name`, 'must be a name of letters, digits and _ that begins with no digit');
      }
    });
    this.timeframe(data, place);
    this.optional(data, 'liveUpdateInterval', place, 'number');
  }
}

/** Line and column, when the browser says where it stopped. */
export function placeOf(text: string, message: string): string {
  const position = /position (\d+)/.exec(message)?.[1];
  if (position === undefined) {
    const said = /line (\d+) column (\d+)/.exec(message);
    return said ? `line ${said[1]}, column ${said[2]}` : 'the text';
  }
  const before = text.slice(0, Number(position)).split('\n');
  return `line ${before.length}, column ${(before[before.length - 1]?.length ?? 0) + 1}`;
}

export function importFrom(text: string): Import {
  let value: unknown;
  if (text.length > IMPORT_BYTES_MAX) {
    return { problems: [{ place: 'the file', message: 'is larger than 4 MB' }] };
  }
  try {
    value = JSON.parse(text);
  } catch (error) {
    const message = error instanceof Error ? error.message : '';
    return { problems: [{ place: placeOf(text, message), message: 'this is no JSON' }] };
  }
  const check = new Checker();
  if (!isObject(value)) {
    check.say('the file', `must hold an object, not ${kindOf(value)}`);
    return { problems: check.problems };
  }
  const bare = value['Data'] === undefined && ('tiles' in value || 'searches' in value);
  const format = value['Format'];
  const version = value['FormatVersion'];
  if (format !== undefined && format !== FORMAT) {
    check.say('Format', `must be “${FORMAT}”: this is another kind of file`);
  }
  if (typeof version === 'number' && version > FORMAT_VERSION) {
    check.say('FormatVersion', `${version} was made by a later version of this page`);
  }
  const data = bare ? value : value['Data'];
  if (isObject(data)) {
    check.data(data, 'Data');
  } else {
    check.say('Data', data === undefined ? 'is missing' : `must be an object, not ${kindOf(data)}`);
  }
  if (!bare) {
    check.optional(value, 'Name', 'Dashboard', 'string');
    check.optional(value, 'Description', 'Dashboard', 'string');
  }
  if (check.problems.length > 0) {
    return { problems: check.problems };
  }
  const labels = Array.isArray(value['Labels']) ? (value['Labels'] as unknown[]) : [];
  const name = typeof value['Name'] === 'string' && !bare ? value['Name'].trim() : '';
  return {
    good: {
      name: (name || 'Imported dashboard').slice(0, NAME_MAX),
      description: typeof value['Description'] === 'string' ? value['Description'] : '',
      labels: labels.filter((label): label is string => typeof label === 'string'),
      data: data as DashboardData,
    },
  };
}

/** The text of the file. Who may see it, and its numbers, belong to the server it came from. */
export function exportOf(dashboard: Dashboard): string {
  const { Name, Description, Labels, Data } = dashboard;
  const file = {
    Format: FORMAT,
    FormatVersion: FORMAT_VERSION,
    Name,
    Description,
    Labels: Labels ?? [],
    Data,
  };
  return `${JSON.stringify(file, null, 2)}\n`;
}

export function fileName(name: string): string {
  const plain = name.replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-+|-+$/g, '');
  return `${plain.slice(0, 60) || 'dashboard'}.json`;
}

/** For the preview of what is about to be imported. */
export function summaryOf(data: DashboardData): string {
  const { tiles, variables } = readBoard(data);
  const count = (n: number, what: string) => `${n} ${what}${n === 1 ? '' : 's'}`;
  const parts = [count(tiles.length, 'tile')];
  if (variables.length > 0) {
    parts.push(count(variables.length, 'variable'));
  }
  return parts.join(', ');
}
