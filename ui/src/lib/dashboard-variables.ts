/*
 * What a dashboard lets its viewers choose: a name, and a value that takes the place of
 * `%%name%%`, `${name}` and `$name` in the queries of its tiles. Only names that the dashboard
 * declares count for `$name`: macros are written the same way and are the server's.
 *
 * A value is one word to the query: it is put in quotes where it needs them, so that nobody's
 * value adds a module to the query by accident. A variable that is `raw` is put in as it is.
 *
 * A variable that is `multi` may have several values. They are one list to `tag=` and to calls
 * (`in(host, $host)`), words elsewhere (`grep $host`), and alternatives of an expression inside of
 * quotes (`match(host, "^($host)$")`); a comparison with several would be wrong and is refused.
 */
export type VariableKind = 'text' | 'list' | 'query';

export interface Variable {
  name: string;
  label: string;
  kind: VariableKind;
  defaultValue: string;
  /** The choices of a list. */
  options: string[];
  /** Where the choices come from: the first column of what it finds. */
  query: string;
  raw: boolean;
  /** Tiles wait until it has a value. */
  required: boolean;
  /** Several of the choices at a time; none chosen: all of them. */
  multi: boolean;
}

/** Between the values of a variable that has several. */
const SEPARATOR = '\n';

export function manyOf(value: string): string[] {
  return value === '' ? [] : value.split(SEPARATOR);
}

export function oneOf(values: readonly string[]): string {
  return values.filter((value) => value !== '').join(SEPARATOR);
}

export type Values = Readonly<Record<string, string>>;

export const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
const VARIABLES_MAX = 50;
export const OPTIONS_MAX = 500;
const KINDS: VariableKind[] = ['text', 'list', 'query'];

export function newVariable(name: string): Variable {
  return {
    name,
    label: '',
    kind: 'text',
    defaultValue: '',
    options: [],
    query: '',
    raw: false,
    required: false,
    multi: false,
  };
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** `%%HOST%%` as templates of other front ends write it, or `HOST`. */
export function bareName(name: string): string {
  return name.trim().replace(/^%%(.*)%%$/, '$1');
}

/** What can be understood of a list of variables; the first of a name wins. */
export function readVariables(value: unknown): Variable[] {
  const result: Variable[] = [];
  for (const item of Array.isArray(value) ? (value as unknown[]) : []) {
    const one = (typeof item === 'object' && item !== null ? item : {}) as Record<string, unknown>;
    const name = bareName(text(one['name']));
    if (!NAME.test(name) || result.some((other) => other.name === name)) {
      continue;
    }
    const options = Array.isArray(one['options'])
      ? (one['options'] as unknown[]).filter((o): o is string => typeof o === 'string')
      : [];
    const kind = KINDS.find((known) => known === one['kind']);
    result.push({
      name,
      label: text(one['label']),
      kind: kind ?? (options.length > 0 ? 'list' : 'text'),
      defaultValue: text(one['defaultValue']),
      options: [...new Set(options)].slice(0, OPTIONS_MAX),
      query: text(one['query']),
      raw: one['raw'] === true,
      required: one['required'] === true,
      multi: one['multi'] === true,
    });
    if (result.length === VARIABLES_MAX) {
      break;
    }
  }
  return result;
}

/** Only of choices there are several. */
export function severalOf(variable: Variable): boolean {
  return variable.multi && variable.kind !== 'text';
}

/** The value of each: what was chosen, else the default, else the first choice. */
export function valuesOf(
  variables: readonly Variable[],
  chosen: Values,
  found: Readonly<Record<string, string[]>> = {},
): Values {
  const values: Record<string, string> = {};
  for (const variable of variables) {
    const options = variable.kind === 'query' ? (found[variable.name] ?? []) : variable.options;
    if (severalOf(variable)) {
      values[variable.name] = (chosen[variable.name] ?? variable.defaultValue) || oneOf(options);
      continue;
    }
    const first = variable.kind === 'text' ? '' : (options[0] ?? '');
    values[variable.name] = chosen[variable.name] ?? (variable.defaultValue || first);
  }
  return values;
}

const BARE = /^[\w.:,*/@+=-]+$/;

function quoted(value: string): string {
  return value.replace(/[\\"]/g, '\\$&');
}

function inserted(variable: Variable, value: string, quote: string): string {
  if (variable.raw) {
    return value;
  }
  if (quote === '"') {
    return quoted(value);
  }
  if (quote === '`') {
    return value.replaceAll('`', '');
  }
  return BARE.test(value) ? value : `"${quoted(value)}"`;
}

const TAGS = /(?:^|[\s({;])tag=[^\s|]*$/;
const COMPARING = /[=~<>!]$/;

/** The values of a variable that may have several; null: there are, where only one can be. */
function insertedAll(variable: Variable, value: string, quote: string, before: string) {
  const all = manyOf(value);
  const tags = TAGS.test(before);
  const call = quote === '' && /[(,]$/.test(before.trimEnd());
  if (all.length > 1 && !tags && COMPARING.test(before.trimEnd())) {
    return null;
  }
  if (variable.raw) {
    return all.join(tags || call ? ',' : ' ');
  }
  if (all.length < 2 && !call) {
    return inserted(variable, value, quote);
  }
  if (tags) {
    return all.map((one) => inserted(variable, one, quote)).join(',');
  }
  if (call) {
    return all.map((one) => `"${quoted(one)}"`).join(', ');
  }
  if (quote !== '') {
    const literal = (one: string) => one.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
    return all.map((one) => inserted(variable, literal(one), quote)).join('|');
  }
  return all.map((one) => inserted(variable, one, quote)).join(' ');
}

export interface Substituted {
  query: string;
  /** Required variables that the query uses and that have no value, by label. */
  wanting: string[];
  /** `%%names%%` that the dashboard does not declare. */
  unknown: string[];
  /** Variables with several values where only one can be, by name. */
  several: string[];
}

const PLACE = /^(?:%%([A-Za-z_]\w*)%%|\$\{([A-Za-z_]\w*)\}|\$([A-Za-z_]\w*))/;

export function substitute(
  query: string,
  variables: readonly Variable[],
  values: Values,
): Substituted {
  const wanting = new Set<string>();
  const unknown = new Set<string>();
  const several = new Set<string>();
  let result = '';
  let quote = '';
  let opened = 0; /* where the quote began */
  for (let at = 0; at < query.length;) {
    const here = query.charAt(at);
    const place = here === '%' || here === '$' ? PLACE.exec(query.slice(at, at + 80)) : null;
    const name = place?.[1] ?? place?.[2] ?? place?.[3];
    const variable = variables.find((one) => one.name === name);
    if (place && variable) {
      const value = values[variable.name] ?? '';
      if (value === '' && variable.required) {
        wanting.add(variable.label || variable.name);
      }
      if (severalOf(variable)) {
        const before = quote === '' ? result : result.slice(0, opened);
        const all = insertedAll(variable, value, quote, before);
        if (all === null) {
          several.add(variable.name);
        }
        result += all ?? '';
      } else {
        result += inserted(variable, value, quote);
      }
      at += place[0].length;
      continue;
    }
    if (place?.[1] !== undefined) {
      unknown.add(place[1]);
    }
    if (quote === '"' && here === '\\') {
      result += query.slice(at, at + 2);
      at += 2;
      continue;
    }
    if (quote === '' && (here === '"' || here === '`')) {
      quote = here;
      opened = result.length;
    } else if (here === quote) {
      quote = '';
    }
    result += here;
    at++;
  }
  return {
    query: result,
    wanting: [...wanting],
    unknown: [...unknown],
    several: [...several],
  };
}

/** A title names what is chosen. */
export function titleWith(title: string, variables: readonly Variable[], values: Values): string {
  return title.replace(
    /%%([A-Za-z_]\w*)%%|\$\{([A-Za-z_]\w*)\}|\$([A-Za-z_]\w*)/g,
    (place, a?: string, b?: string, c?: string) => {
      const variable = variables.find(({ name }) => name === (a ?? b ?? c));
      return variable ? manyOf(values[variable.name] ?? '').join(', ') : place;
    },
  );
}

/** Names that queries mention as `%%name%%`, declared or not. */
export function mentionedIn(queries: readonly string[]): string[] {
  const names = queries.flatMap((query) =>
    [...query.matchAll(/%%([A-Za-z_]\w*)%%/g)].map((match) => match[1] ?? ''),
  );
  return [...new Set(names)];
}
