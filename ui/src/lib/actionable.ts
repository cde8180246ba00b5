/*
 * Actionables: what can be done with a value that is found in a result. A trigger is a pattern;
 * wherever it matches, the actions are offered, with the match in the place of their placeholder.
 * Pages of results call actionsFor() with the text of a value.
 */
import { fillTemplate, quoted, type TemplateContents } from './template';

export type CommandType = 'query' | 'savedQuery' | 'template' | 'dashboard' | 'url';

export interface Command {
  type: CommandType;
  /** A query, a URL, or the id of a saved query, a template, a dashboard. */
  reference: string;
  options?: Record<string, unknown>;
}

export interface ActionDefinition {
  name: string;
  description?: string;
  placeholder?: string | null;
  start?: unknown;
  end?: unknown;
  command: Command;
}

export interface ActionableContents {
  menuLabel?: string | null;
  actions?: ActionDefinition[] | null;
  triggers?: { pattern: string; hyperlink?: boolean }[] | null;
}

export interface Actionable {
  ThingUUID: string;
  Name: string;
  Disabled: boolean;
  Contents: ActionableContents;
}

/** One thing that can be done with one value: `run` says how. */
export interface Action {
  name: string;
  description: string;
  menu: string; /* the actionable's label */
  value: string; /* what matched */
  run:
    | { kind: 'query'; query: string }
    | { kind: 'url'; url: string }
    | { kind: 'savedQuery' | 'template' | 'dashboard'; id: string; value: string };
}

export const PLACEHOLDER = '_VALUE_';
const VALUE_MAX = 4096;
const ACTIONS_MAX = 40;
const MATCHES_MAX = 20;

/** A pattern as people write it in either world: `/…/i` or bare. Null: it is none. */
export function patternOf(text: string): RegExp | null {
  const literal = /^\/(.+)\/([a-z]*)$/s.exec(text);
  try {
    const flags = (literal?.[2] ?? '').replace(/[^imsu]/g, '');
    return text === '' ? null : new RegExp(literal?.[1] ?? text, `${flags}g`);
  } catch {
    return null;
  }
}

/** Addresses that lead somewhere; never one that is a program. */
export function safeUrl(text: string): string | null {
  try {
    const url = new URL(text);
    return url.protocol === 'https:' || url.protocol === 'http:' ? url.href : null;
  } catch {
    return null;
  }
}

function matchesOf(contents: ActionableContents, text: string): string[] {
  const found = new Set<string>();
  for (const trigger of contents.triggers ?? []) {
    const pattern = patternOf(trigger.pattern);
    for (const match of pattern ? text.slice(0, VALUE_MAX).matchAll(pattern) : []) {
      const value = match[1] ?? match[0];
      if (value !== '') {
        found.add(value);
      }
      if (found.size >= MATCHES_MAX) {
        return [...found];
      }
    }
  }
  return [...found];
}

function actionOf(menu: string, of: ActionDefinition, value: string): Action | null {
  const base = { name: of.name, description: of.description ?? '', menu, value };
  const { type, reference } = of.command;
  const placeholder = of.placeholder ?? PLACEHOLDER;
  const put = (as: string) =>
    placeholder === '' ? reference : reference.replaceAll(placeholder, () => as);
  if (type === 'query') {
    return { ...base, run: { kind: 'query', query: put(quoted(value)) } };
  }
  if (type === 'url') {
    const url = safeUrl(put(encodeURIComponent(value)));
    return url === null ? null : { ...base, run: { kind: 'url', url } };
  }
  return { ...base, run: { kind: type, id: reference, value } };
}

/** All that can be done with a text, or with what in it matches. */
export function actionsFor(all: Actionable[], text: string): Action[] {
  const actions: Action[] = [];
  for (const one of all) {
    if (one.Disabled) {
      continue;
    }
    for (const value of matchesOf(one.Contents, text)) {
      for (const definition of one.Contents.actions ?? []) {
        const action = actionOf(one.Contents.menuLabel ?? one.Name, definition, value);
        if (action && actions.length < ACTIONS_MAX) {
          actions.push(action);
        }
      }
    }
  }
  return actions;
}

/** A template that an action opens: the value goes into its first blank, the others keep theirs. */
export function templateFor(contents: TemplateContents, value: string): string {
  const variables = contents.variables ?? [];
  const values = Object.fromEntries(
    variables.map((one, i) => [one.name ?? '', i === 0 ? quoted(value) : (one.defaultValue ?? '')]),
  );
  return fillTemplate(contents.query ?? '', values);
}
