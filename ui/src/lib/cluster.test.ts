import { describe, expect, it } from 'vitest';
import {
  bytesText,
  indexerHealth,
  linkHealth,
  linksOf,
  rateChart,
  tagSums,
  troublesOf,
  webserverKnown,
  type WireForwarder,
  type WireIndexer,
} from './cluster';

function forwarder(more: Partial<WireForwarder> = {}): WireForwarder {
  return { name: 'b', target: '10.0.0.2:9406', node: 'id-b', state: 'following', ...more };
}

function indexer(Address: string, id: string, forwarders: WireForwarder[] = []): WireIndexer {
  return {
    Address,
    Up: true,
    Error: '',
    Info: { id, version: '1.0.0', started: '', takes_entries: true, reason: '' },
    Stats: {
      storage: { log_bytes: 1, corrupt: 0 },
      replication: { forwarders },
      wells: [],
      connections: [],
    },
    Tags: { tags: [{ name: 'web', entries: 5, bytes: 50 }] },
  };
}

const AWAY: WireIndexer = { Address: '10.0.0.2:9404', Up: false, Error: 'connection refused' };
import type { Settings } from './types';

describe('the picture of the cluster', () => {
  it('draws a link to the indexer that has the id of its target', () => {
    const [link] = linksOf([indexer('x:1', 'id-a', [forwarder()]), indexer('y:2', 'id-b')]);
    expect(link).toMatchObject({ from: 'x:1', to: 'y:2', known: true, health: 'ok' });
  });

  it('draws a link to an indexer that is away, by its address', () => {
    const [link] = linksOf([indexer('10.0.0.1:9404', 'id-a', [forwarder({ node: null })]), AWAY]);
    expect(link).toMatchObject({ to: '10.0.0.2:9404', known: true });
  });

  it('says nothing when all is well', () => {
    expect(
      troublesOf(null, [], [indexer('x:1', 'id-a', [forwarder()]), indexer('y:2', 'id-b')]),
    ).toEqual([]);
  });

  it('says what is away, worst first, with something to do', () => {
    const webserver = {
      UUID: 'u',
      ExternalAddr: 'w:80',
      Version: '1.0.0',
      SeenMilliseconds: 90_000,
      Up: false,
      Self: false,
    };
    const troubles = troublesOf(null, [webserver], [indexer('x:1', 'id-a'), AWAY]);
    expect(troubles.map((trouble) => trouble.health)).toEqual(['bad', 'warn']);
    expect(troubles[0]?.what).toContain('10.0.0.2:9404');
    expect(troubles.every((trouble) => trouble.advice !== '')).toBe(true);
  });

  it('does not say of others that they are up while nobody tells', () => {
    const webserver = { UUID: 'u', ExternalAddr: 'w:80', Version: '1', SeenMilliseconds: 90_500 };
    const other = { ...webserver, Up: true, Self: false };
    const away = { State: 'offline', Degraded: true, Address: 'ds:9405', Reason: 'refused' };
    expect(webserverKnown(other, undefined)).toEqual({ look: 'ok', text: 'up' });
    expect(webserverKnown({ ...other, Self: true }, away)).toEqual({ look: 'ok', text: 'up' });
    const known = webserverKnown(other, away);
    expect(known.look).toBe('idle');
    expect(known.text).toBe('not known without the datastore, last seen 1 min 30 s ago');
    expect(webserverKnown({ ...other, Up: false }, away)).toEqual(known);
    expect(webserverKnown({ ...other, Up: false }, undefined).text).toBe(
      'last seen 1 min 30 s ago',
    );
    const settings = { Datastore: away } as Settings;
    expect(troublesOf(settings, [{ ...other, Up: false }], []).length).toBe(1);
  });

  it('knows a link that is broken from one that is only behind', () => {
    expect(linkHealth(forwarder())).toBe('ok');
    expect(linkHealth(forwarder({ lag_ns: 120e9 }))).toBe('warn');
    expect(linkHealth(forwarder({ state: 'catching up' }))).toBe('warn');
    expect(linkHealth(forwarder({ state: 'connecting', fault: 'refused' }))).toBe('bad');
    expect(linkHealth(forwarder({ quarantined: 1 }))).toBe('bad');
  });

  it('says that a disk is almost full, and how much is left', () => {
    const full = (free: number) => {
      const one = indexer('x:1', 'id-a');
      Object.assign(one.Stats?.storage ?? {}, { disk_free_bytes: free, disk_bytes: 1000 * 1024 });
      return troublesOf(null, [], [one]);
    };
    expect(full(500 * 1024)).toEqual([]);
    expect(full(40 * 1024)).toMatchObject([{ health: 'warn' }]);
    expect(full(10 * 1024)[0]).toMatchObject({ health: 'bad' });
    expect(full(10 * 1024)[0]?.what).toContain('10.0 KiB are free');
    expect(indexerHealth(indexer('x:1', 'id-a'))).toBe('ok');
  });

  it('counts once what linked indexers both have, and twice what separate ones have', () => {
    expect(tagSums([indexer('x:1', 'a', [forwarder()]), indexer('y:2', 'id-b')])[0]?.entries).toBe(
      5,
    );
    expect(tagSums([indexer('x:1', 'a'), indexer('y:2', 'b')])[0]?.entries).toBe(10);
  });
});

describe('rates', () => {
  it('are entries per second, the busiest tags first, the rest as one', () => {
    const tags = Array.from({ length: 9 }, (_, i) => `t${i}`);
    const chart = rateChart([
      { at: 0, entries: new Map(tags.map((name) => [name, 0])) },
      { at: 2000, entries: new Map(tags.map((name, i) => [name, 20 * (i + 1)])) },
      { at: 4000, entries: new Map(tags.map((name, i) => [name, 20 * (i + 1)])) },
    ]);
    expect(chart.Names).toEqual(['t8', 't7', 't6', 't5', 't4', 't3', 't2', '2 others']);
    expect(chart.Values[0]?.Data).toEqual([90, 80, 70, 60, 50, 40, 30, 30]);
  });

  it('are none before the third look, and never below zero', () => {
    expect(rateChart([{ at: 0, entries: new Map([['a', 1]]) }]).Names).toEqual([]);
    const chart = rateChart([
      { at: 0, entries: new Map([['a', 0]]) },
      { at: 1000, entries: new Map([['a', 9]]) },
      { at: 2000, entries: new Map([['a', 3]]) },
    ]);
    expect(chart.Values.map((value) => value.Data[0])).toEqual([9, 0]);
  });
});

describe('bytes', () => {
  it('have the unit that reads best', () => {
    expect([0, 1023, 1536, 200 * 1024, 3 * 2 ** 30].map(bytesText)).toEqual([
      '0 B',
      '1023 B',
      '1.5 KiB',
      '200 KiB',
      '3.0 GiB',
    ]);
  });
});
