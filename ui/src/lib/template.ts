/*
 * Templates: queries with blanks. A blank is a word between `%%`; its row says how it is asked for.
 */

export interface Variable {
  name: string;
  label: string;
  description: string;
  required: boolean;
  defaultValue: string;
  previewValue: string;
}

export interface TemplateContents {
  query?: string | null;
  variables?: Partial<Variable>[] | null;
}

const BLANK = /%%[A-Za-z0-9_-]+%%/g;

/** The blanks of a query, each once, in their order. */
export function blanksOf(query: string): string[] {
  return [...new Set(query.match(BLANK) ?? [])];
}

/** A row per blank: those that are known stay as they are, new ones get a word from their name. */
export function variablesOf(query: string, known: Partial<Variable>[]): Variable[] {
  return blanksOf(query).map((name) => {
    const before = known.find((one) => one.name === name);
    const bare = name.replaceAll('%%', '').replaceAll('_', ' ');
    const word = bare.length <= 3 ? bare : bare.toLowerCase();
    return {
      name,
      label: before?.label ?? word.replace(/^./, (c) => c.toUpperCase()),
      description: before?.description ?? '',
      required: before?.required ?? true,
      defaultValue: before?.defaultValue ?? '',
      previewValue: before?.previewValue ?? '',
    };
  });
}

export function fillTemplate(query: string, values: Record<string, string>): string {
  return query.replace(BLANK, (blank) => values[blank] ?? blank);
}

/** The value of a blank as it stands inside a query: quoted as soon as it is not one plain word. */
export function quoted(value: string): string {
  return /^[\w.@:/*+-]+$/.test(value) ? value : `"${value.replace(/["\\]/g, '\\$&')}"`;
}
