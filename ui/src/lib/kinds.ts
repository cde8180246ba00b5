/*
 * The kinds of things that are kept and have no contents of their own: one row each. What they have
 * in common (name, description, sharing, versions, the list) is in ThingsPage and ThingDialog; what
 * a kind alone has is its `body`, for which there is a component of fields.
 */
import { actionsFor, patternOf, type ActionableContents } from './actionable';
import { macroArguments, macroName } from './macro';
import { sharingOf, wireOf, type Shared, type SharingForm } from './sharing';
import { variablesOf, type TemplateContents } from './template';

export type KindPage = 'queries' | 'macros' | 'templates' | 'actionables' | 'extractors';

/** As it is on the wire, whatever its kind. */
export type WireThing = Shared & Record<string, unknown>;

/** A thing as pages and dialogs know it. */
export interface Thing {
  id: string; /* in the path of its own route */
  uuid: string; /* by which its versions are known */
  name: string;
  description: string;
  updated: string;
  shared: Shared;
  wire: WireThing;
}

export interface ThingForm {
  name: string;
  description: string;
  sharing: SharingForm;
  /** What the kind alone has, in the spelling of the wire. */
  body: Record<string, unknown>;
}

export interface Kind {
  page: KindPage;
  title: string;
  one: string;
  path: string;
  lead: string;
  none: string;
  descriptionKey: 'Description' | 'Desc';
  /** The members of the body, and what they are in a new one. */
  fresh: () => Record<string, unknown>;
  /** What a row says beside the name. */
  summary: (wire: WireThing) => string;
  /** Makes a typed name one that the server takes. */
  nameOf?: (typed: string) => string;
  /** Why it cannot be saved yet, in a sentence; "" when it can. */
  wrong?: (body: Record<string, unknown>) => string;
  /** Is changed at the path of the whole collection. */
  changedByBody?: boolean;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function contents<T>(wire: Record<string, unknown>): T {
  return (typeof wire['Contents'] === 'object' ? (wire['Contents'] ?? {}) : {}) as T;
}

export const KINDS: Record<KindPage, Kind> = {
  queries: {
    page: 'queries',
    title: 'Saved queries',
    one: 'saved query',
    path: '/api/library',
    lead: 'Queries worth keeping, to run again or to share.',
    none: 'No saved queries yet. Keep a query here, and everybody you share it with can run it.',
    descriptionKey: 'Description',
    fresh: () => ({ Query: '' }),
    summary: (wire) => text(wire['Query']),
    wrong: (body) => (text(body['Query']).trim() === '' ? 'The query is empty.' : ''),
  },
  macros: {
    page: 'macros',
    title: 'Macros',
    one: 'macro',
    path: '/api/macros',
    lead: 'Names for pieces of queries: $NAME stands for its expansion.',
    none: 'No macros yet. A macro gives a piece of a query a name: $ERRORS instead of a long filter.',
    descriptionKey: 'Description',
    fresh: () => ({ Expansion: '' }),
    summary: (wire) => {
      const count = macroArguments(text(wire['Expansion']));
      const list = count === 0 ? '' : ` (${count} argument${count === 1 ? '' : 's'})`;
      return `${text(wire['Expansion'])}${list}`;
    },
    nameOf: macroName,
    wrong: (body) => (text(body['Expansion']).trim() === '' ? 'The expansion is empty.' : ''),
  },
  templates: {
    page: 'templates',
    title: 'Templates',
    one: 'template',
    path: '/api/templates',
    lead: 'Queries with blanks that are filled in when they run.',
    none: 'No templates yet. A template is a query with blanks: who runs it fills them in.',
    descriptionKey: 'Description',
    fresh: () => ({ Contents: { query: '', variables: [] } }),
    summary: (wire) => text(contents<TemplateContents>(wire).query),
    wrong: (body) => {
      const { query, variables } = contents<TemplateContents>(body);
      if (text(query).trim() === '') {
        return 'The query is empty.';
      }
      return variablesOf(text(query), variables ?? []).length === 0
        ? 'The query has no blank: write one as %%NAME%%.'
        : '';
    },
  },
  actionables: {
    page: 'actionables',
    title: 'Actionables',
    one: 'actionable',
    path: '/api/pivots',
    lead: 'Patterns in results, and what can be done with what matches.',
    none: 'No actionables yet. Where a pattern matches in a result, its actions are offered: search for it, look it up.',
    descriptionKey: 'Description',
    fresh: () => ({
      Contents: {
        menuLabel: '',
        triggers: [{ pattern: '', hyperlink: true }],
        actions: [{ name: '', description: '', command: { type: 'query', reference: '' } }],
      },
      Disabled: false,
    }),
    summary: (wire) => {
      const { triggers, actions } = contents<ActionableContents>(wire);
      const names = (actions ?? []).map((action) => action.name).join(', ');
      const off = wire['Disabled'] === true ? 'off · ' : '';
      return `${off}${(triggers ?? []).map((one) => one.pattern).join(', ')} → ${names}`;
    },
    wrong: (body) => {
      const { triggers, actions } = contents<ActionableContents>(body);
      const bad = (triggers ?? []).find((one) => patternOf(one.pattern) === null);
      if (bad) {
        return bad.pattern === '' ? 'A pattern is empty.' : `This is not a pattern: ${bad.pattern}`;
      }
      const empty = (actions ?? []).some((one) => one.name === '' || one.command.reference === '');
      return empty ? 'An action needs a name and what it leads to.' : '';
    },
  },
  extractors: {
    page: 'extractors',
    title: 'Extractors',
    one: 'extractor',
    path: '/api/autoextractors',
    lead: 'How the fields of a tag are found: “ax” in a query uses them.',
    none: 'No extractors yet. An extractor names the fields of a tag once; “tag=… ax” finds them.',
    descriptionKey: 'Desc',
    fresh: () => ({ Module: 'csv', Tag: '', Tags: [], Params: '', Args: '' }),
    summary: (wire) =>
      `${tagsOf(wire).join(', ')} · ${text(wire['Module'])} ${text(wire['Params'])}`,
    wrong: (body) => (tagsOf(body).length === 0 ? 'It needs a tag.' : ''),
    changedByBody: true,
  },
};

/** The tags of an extractor: a list, and one more beside it. */
export function tagsOf(body: Record<string, unknown>): string[] {
  const list = Array.isArray(body['Tags']) ? (body['Tags'] as unknown[]).map(text) : [];
  return [...new Set([...list, text(body['Tag'])])].filter((tag) => tag !== '');
}

export function thingOf(kind: Kind, wire: WireThing): Thing {
  const uuid = text(wire['ThingUUID']) || text(wire['UUID']);
  const id = wire['ID'];
  return {
    id: typeof id === 'number' ? String(id) : uuid,
    uuid,
    name: text(wire['Name']),
    description: text(wire[kind.descriptionKey]),
    updated: text(wire['Updated']) || text(wire['LastUpdated']),
    shared: wire,
    wire,
  };
}

export function thingFormOf(kind: Kind, thing: Thing | null): ThingForm {
  const body: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(kind.fresh())) {
    body[name] = structuredClone(thing?.wire[name] ?? value);
  }
  return {
    name: thing?.name ?? '',
    description: thing?.description ?? '',
    sharing: sharingOf(thing?.shared ?? null),
    body,
  };
}

/** The whole object: an update replaces everything, so members that no form shows come along. */
export function thingToWire(kind: Kind, thing: Thing | null, form: ThingForm): WireThing {
  return {
    ...thing?.wire,
    UID: thing?.shared.UID ?? 0,
    Name: form.name,
    [kind.descriptionKey]: form.description,
    ...wireOf(form.sharing),
    ...form.body,
  } as WireThing;
}

/** Tries an actionable before it is saved. */
export function tryActionable(body: Record<string, unknown>, sample: string) {
  const Contents = contents<ActionableContents>(body);
  return actionsFor([{ ThingUUID: '', Name: 'It', Disabled: false, Contents }], sample);
}
