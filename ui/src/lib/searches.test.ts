import { describe, expect, it } from 'vitest';
import { nameOf, shortDuration, stateOf, whereOf, type KeptSearch } from './searches';

const search: KeptSearch = {
  ID: '665324215476428',
  UID: 1,
  GIDs: null,
  Global: false,
  UserQuery: 'tag=web',
  StartRange: '',
  EndRange: '',
  Started: '',
  Duration: '',
  ItemCount: 0,
  StoreSize: 0,
  Background: false,
  Finished: true,
};
const status = (State: string) => ({ ID: search.ID, State, AttachedClients: 0 });

describe('a kept search', () => {
  it('is what its flags say', () => {
    expect(stateOf({ ...search, Finished: false }, undefined)).toBe('running');
    const inBackground = { ...search, Finished: false, Background: true };
    expect(stateOf(inBackground, status('ACTIVE/BACKGROUNDED'))).toBe('background');
    expect(stateOf({ ...search, Background: true }, status('DORMANT'))).toBe('finished');
    expect(stateOf(search, status('DORMANT/SAVED'))).toBe('saved');
    expect(stateOf(search, status('ACTIVE/SAVING'))).toBe('saved');
    expect(stateOf({ ...search, Error: 'gone' }, status('DORMANT/ERROR'))).toBe('failed');
  });

  it('has the name that it was saved with, if that says more than the query', () => {
    expect(nameOf({ ...search, Metadata: { name: 'Mine' } })).toBe('Mine');
    expect(nameOf({ ...search, Metadata: { name: 'tag=web' } })).toBe('');
    expect(nameOf({ ...search, Metadata: { name: 3 }, Name: 'From the launch' })).toBe(
      'From the launch',
    );
  });

  it('is where its number says', () => {
    const one = { ExternalAddr: 'https://logs2:443', SearchNumber: 6653, Up: true, Self: false };
    expect(whereOf(search.ID, [{ ...one, SearchNumber: 1234 }, one])).toBe('logs2:443');
    expect(whereOf(search.ID, [])).toBe('an unknown webserver');
  });

  it('says shortly how long it took', () => {
    expect(['7.707452ms', '1m2.534243s', '3s'].map(shortDuration)).toEqual([
      '7.7ms',
      '1m2.5s',
      '3s',
    ]);
  });
});
