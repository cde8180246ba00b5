import { describe, expect, it } from 'vitest';
import { labelsOf, marksOf, mayChange, mayShare, sharingOf, wireOf, type Shared } from './sharing';

const thing: Shared = {
  UID: 7,
  GIDs: [3],
  Global: false,
  WriteAccess: { Global: false, GIDs: [4] },
  Labels: ['ops', 'hidden'],
  Synced: false,
};
const owner = { UID: 7, Admin: false };
const writer = { UID: 8, Admin: false, Groups: [{ GID: 4, Name: 'four' }] };
const reader = { UID: 9, Admin: false, Groups: [{ GID: 3, Name: 'three' }] };

describe('sharing', () => {
  it('a form that nobody touched sends what came', () => {
    expect(wireOf(sharingOf(thing))).toEqual({
      GIDs: [3],
      Global: false,
      WriteAccess: { Global: false, GIDs: [4] },
      Labels: ['ops', 'hidden'],
    });
  });

  it('a resource keeps its own name for groups', () => {
    expect(wireOf(sharingOf({ UID: 1, GroupACL: [2], Global: false }), 'GroupACL')).toMatchObject({
      GroupACL: [2],
    });
  });

  it('labels are each there once, whatever lies between them', () => {
    expect(labelsOf(' a, b,,a ,')).toEqual(['a', 'b']);
  });

  it('owners, admins and those who were given it may change it; others may not', () => {
    expect([owner, writer, reader].map((asker) => mayChange(thing, asker))).toEqual([
      true,
      true,
      false,
    ]);
    expect(mayChange(thing, { UID: 1, Admin: true })).toBe(true);
    expect(mayChange(thing, null)).toBe(false);
  });

  it('only owners and admins share', () => {
    expect([owner, writer].map((asker) => mayShare(thing, asker))).toEqual([true, false]);
  });

  it('marks say what is not usual', () => {
    expect(marksOf(thing, owner)).toEqual(['shared', 'this webserver only', 'ops']);
    expect(marksOf({ UID: 7, Global: true, Synced: true }, reader)).toEqual([
      'everybody',
      'read only',
    ]);
  });
});
