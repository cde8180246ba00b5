import { describe, expect, it } from 'vitest';
import { KINDS, tagsOf, thingFormOf, thingOf, thingToWire, type WireThing } from './kinds';

const macro: WireThing = {
  ID: 31,
  ThingUUID: 'u31',
  UID: 7,
  GIDs: [3],
  Global: false,
  WriteAccess: { Global: false, GIDs: null },
  Name: 'ERR',
  Description: 'errors',
  Expansion: 'grep %%1%%',
  Labels: null,
  LastUpdated: 't',
  Later: 'kept',
};

describe('kinds', () => {
  it('a macro is known by its number, its versions by its uuid', () => {
    expect(thingOf(KINDS.macros, macro)).toMatchObject({ id: '31', uuid: 'u31', updated: 't' });
  });

  it('saving what nobody touched changes nothing, not even members of other clients', () => {
    const thing = thingOf(KINDS.macros, macro);
    const sent = thingToWire(KINDS.macros, thing, thingFormOf(KINDS.macros, thing));
    expect(sent).toMatchObject({ Later: 'kept', Expansion: 'grep %%1%%', GIDs: [3], UID: 7 });
  });

  it('a form is a copy: what is typed does not show in the list before it is saved', () => {
    const wire = { UID: 1, Global: false, Contents: { query: 'a', variables: [] } };
    const form = thingFormOf(KINDS.templates, thingOf(KINDS.templates, wire));
    (form.body['Contents'] as { query: string }).query = 'b';
    expect(wire.Contents.query).toBe('a');
  });

  it('every kind says why an empty one cannot be saved', () => {
    for (const kind of Object.values(KINDS)) {
      expect(kind.wrong?.(kind.fresh()), kind.title).not.toBe('');
    }
  });

  it('every kind survives a body that another client has written', () => {
    const strange = { UID: 1, Global: false, Contents: null, Query: 7, Tags: 'x' } as WireThing;
    for (const kind of Object.values(KINDS)) {
      expect(typeof kind.summary(strange), kind.title).toBe('string');
      expect(thingFormOf(kind, thingOf(kind, strange)).name).toBe('');
    }
  });

  it('an extractor has the tags of its list and the one beside it', () => {
    expect(tagsOf({ Tag: 'a', Tags: ['b', 'a', ''] })).toEqual(['b', 'a']);
  });
});
