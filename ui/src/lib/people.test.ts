import { describe, expect, it } from 'vitest';
import { changesOf, formOf, type Account } from './people';

const ANN: Account = {
  UID: 7,
  User: 'ann',
  Name: 'Ann',
  Email: '',
  Admin: false,
  Locked: false,
  Groups: [{ GID: 1, Name: 'ops', Desc: '' }],
  TS: '',
  Synced: true,
};

describe('the form of a user', () => {
  it('asks for nothing when nothing was changed', () => {
    expect(changesOf(ANN, formOf(ANN))).toEqual([]);
  });

  it('takes rights away before it gives any', () => {
    const form = { ...formOf(ANN), Name: 'Ann B', gids: [2], Admin: true, password: 'secret' };
    expect(changesOf(ANN, form)).toEqual([
      { method: 'DELETE', path: '/api/users/7/group/1' },
      { method: 'PUT', path: '/api/users/7', json: { User: 'ann', Name: 'Ann B', Email: '' } },
      { method: 'PUT', path: '/api/users/7/pwd', json: { NewPass: 'secret' } },
      { method: 'POST', path: '/api/users/7/group', json: { GIDs: [2] } },
      { method: 'PUT', path: '/api/users/7/admin' },
    ]);
    const locked = changesOf({ ...ANN, Admin: true }, { ...formOf(ANN), Locked: true });
    expect(locked.map((call) => `${call.method} ${call.path}`)).toEqual([
      'PUT /api/users/7/lock',
      'DELETE /api/users/7/admin',
    ]);
    expect(changesOf({ ...ANN, Locked: true }, formOf(ANN))).toEqual([
      { method: 'DELETE', path: '/api/users/7/lock' },
    ]);
  });
});
