import { describe, expect, it } from 'vitest';
import { linksOf, type WireIndexer } from './cluster';
import { BOX, boxName, drawingOf, drawingText, type Cluster } from './cluster-picture';

const webserver = (ExternalAddr: string, Up = true, Self = false) => ({
  UUID: ExternalAddr,
  ExternalAddr,
  Version: '1',
  SeenMilliseconds: 1,
  Up,
  Self,
});

function indexer(Address: string, ...targets: string[]): WireIndexer {
  const forwarders = targets.map((node) => ({
    name: node,
    target: `${node}:1`,
    node,
    state: 'following',
  }));
  return {
    Address,
    Up: true,
    Error: '',
    Info: { id: Address, version: '1', started: '', takes_entries: true, reason: '' },
    Stats: {
      storage: { log_bytes: 1, corrupt: 0 },
      replication: { forwarders },
      wells: [],
      connections: [],
    },
    Tags: { tags: [] },
  };
}

function cluster(indexers: WireIndexer[], more: Partial<Cluster> = {}): Cluster {
  return {
    balancer: 'lb:80',
    datastores: ['ds:9405'],
    datastore: undefined,
    webservers: [webserver('w1:80', true, true), webserver('w2:80')],
    indexers,
    links: linksOf(indexers),
    ...more,
  };
}

const RING = ['a', 'b', 'c', 'd'].map((name, i) => indexer(name, 'bcda'[i] ?? ''));

describe('the drawing of the cluster', () => {
  it('has every part once, in rows, and no two on the same place', () => {
    const { boxes, width, height } = drawingOf(cluster(RING));
    expect(boxes.map((box) => box.kind)).toEqual([
      'Load balancer',
      'Datastore',
      ...Array(2).fill('Webserver'),
      ...Array(4).fill('Indexer'),
    ]);
    for (const [i, one] of boxes.entries()) {
      expect(one.x - BOX.w / 2).toBeGreaterThanOrEqual(0);
      expect(one.x + BOX.w / 2).toBeLessThanOrEqual(width);
      expect(one.y + BOX.h / 2).toBeLessThanOrEqual(height);
      for (const other of boxes.slice(i + 1)) {
        expect(Math.abs(one.x - other.x) >= BOX.w || Math.abs(one.y - other.y) >= BOX.h).toBe(true);
      }
    }
  });

  it('draws every datalog link, below the indexers and inside of the drawing', () => {
    const { arcs, height, boxes } = drawingOf(cluster(RING));
    expect(arcs).toHaveLength(4);
    const bottom = Math.max(...boxes.map((box) => box.y)) + BOX.h / 2;
    expect(height).toBeGreaterThan(bottom);
    expect(new Set(arcs.map((arc) => arc.path)).size).toBe(4);
  });

  it('says what is away, by its line and in words', () => {
    const gone: WireIndexer = { Address: 'b', Up: false, Error: 'refused' };
    const picture = drawingOf(
      cluster([indexer('a'), gone], {
        webservers: [webserver('w1:80'), webserver('w2:80', false)],
      }),
    );
    const bad = picture.lines.filter((line) => line.look === 'bad').map((line) => line.key);
    expect(new Set(bad)).toEqual(new Set(['Webserver w2:80', 'Indexer b']));
    expect(drawingText(picture)).toContain('w2:80 is away, b is away');
  });

  it('knows a datastore that is in use from one that is not, and one that is lost', () => {
    const look = (Address: string, Degraded: boolean) =>
      drawingOf(
        cluster([], {
          datastores: ['one', 'two'],
          datastore: { Address, Degraded, State: '', Reason: '' } as Cluster['datastore'],
        }),
      )
        .boxes.filter((box) => box.kind === 'Datastore')
        .map((box) => box.look);
    const lost = { Address: 'one', Degraded: true, State: '', Reason: '' };
    const others = drawingOf(cluster([], { datastore: lost as Cluster['datastore'] })).boxes;
    expect(others.filter((box) => box.kind === 'Webserver').map((box) => box.note)).toEqual([
      'yours',
      'unknown',
    ]);
    expect(look('one', false)).toEqual(['ok', 'idle']);
    expect(look('two', true)).toEqual(['idle', 'bad']);
  });

  it('is there for a single machine without a datastore or links', () => {
    const picture = drawingOf(
      cluster([indexer('a')], { balancer: '', datastores: [], webservers: [webserver('w')] }),
    );
    expect(picture.boxes).toHaveLength(2);
    expect(drawingText(picture)).toBe('1 webserver, 1 indexer, 0 links between indexers');
  });

  it('shortens long names in their middle', () => {
    expect(boxName('127.0.0.1:28085')).toBe('127.0.0.1:28085');
    const short = boxName('indexer-1.logs.example.com:9404');
    expect(short).toHaveLength(17);
    expect(short.endsWith('com:9404')).toBe(true);
  });
});
