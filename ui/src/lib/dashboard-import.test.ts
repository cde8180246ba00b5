import { describe, expect, it } from 'vitest';
import {
  exportOf,
  fileName,
  importFrom,
  placeOf,
  summaryOf,
  type Problem,
} from './dashboard-import';
import type { Dashboard } from './types';

const DATA = {
  searches: [{ alias: 'a', query: 'tag=a' }],
  tiles: [
    { id: 1, title: 'a', renderer: 'text', span: { col: 6, row: 8, x: 0, y: 0 }, searchesIndex: 0 },
  ],
  variables: [{ name: 'host' }],
  timeframe: { timeframe: 'PT1H' },
};

function problemsOf(value: unknown): Problem[] {
  const result = importFrom(typeof value === 'string' ? value : JSON.stringify(value));
  return 'problems' in result ? result.problems : [];
}

const places = (value: unknown) => problemsOf(value).map((problem) => problem.place);

describe('a dashboard from a file', () => {
  it('is what was exported', () => {
    const dashboard = {
      ID: 5,
      Name: 'Edge <b>',
      Description: 'one look',
      Labels: ['net'],
      Data: DATA,
      GIDs: [3],
    } as unknown as Dashboard;
    const text = exportOf(dashboard);
    expect(text).not.toContain('GIDs');
    expect(importFrom(text)).toEqual({
      good: { name: 'Edge <b>', description: 'one look', labels: ['net'], data: DATA },
    });
  });

  it('may be what the API answers, or a body alone', () => {
    expect(problemsOf({ ID: 5, Name: 'x', Data: DATA, Labels: null })).toEqual([]);
    expect(importFrom(JSON.stringify(DATA))).toMatchObject({
      good: { name: 'Imported dashboard' },
    });
    expect(problemsOf({ Name: 'empty', Data: {} })).toEqual([]);
    expect(summaryOf(DATA as never)).toBe('1 tile, 1 variable');
  });

  it('is refused with every place that is wrong', () => {
    const wrong = {
      Name: 7,
      Data: {
        searches: [{ query: 5 }, 'x'],
        tiles: [
          { searchesIndex: 2, span: { col: 13, row: 8, x: 0, y: 'a' } },
          { searchesIndex: 0, title: [] },
        ],
        variables: [{ name: '1 a' }],
        timeframe: { timeframe: 'sometimes' },
        liveUpdateInterval: '10',
      },
    };
    expect(places(wrong).sort()).toEqual(
      [
        'Dashboard.Name',
        'Data.searches[0].query',
        'Data.searches[1]',
        'Data.tiles[0].searchesIndex',
        'Data.tiles[0].span.col',
        'Data.tiles[0].span.y',
        'Data.tiles[1].title',
        'Data.variables[0].name',
        'Data.timeframe',
        'Data.liveUpdateInterval',
      ].sort(),
    );
    expect(problemsOf(wrong).find((one) => one.place === 'Data.tiles[0].searchesIndex')).toEqual({
      place: 'Data.tiles[0].searchesIndex',
      message: 'must be the number of a search (0 to 1)',
    });
  });

  it('that is none says so', () => {
    expect(places({ Name: 'x' })).toEqual(['Data']);
    expect(places('[1]')).toEqual(['the file']);
    expect(places({ Format: 'other', Data: {} })).toEqual(['Format']);
    expect(places({ Format: 'aquifer-dashboard', FormatVersion: 9, Data: {} })).toEqual([
      'FormatVersion',
    ]);
    expect(problemsOf({ Data: { tiles: Array(99).fill(0) } })).toHaveLength(20);
  });

  it('that is no JSON says where', () => {
    expect(places('{\n  "a": nope}')[0]).toMatch(/line 2, column \d+|the text/);
    expect(placeOf('a\nbc', 'Unexpected token at position 3')).toBe('line 2, column 2');
    expect(placeOf('', 'at line 3 column 4 of the JSON data')).toBe('line 3, column 4');
    expect(places('')).toHaveLength(1);
  });

  it('has a name that every disk takes', () => {
    expect(fileName('Edge / routers: "née"')).toBe('Edge-routers-née.json');
    expect(fileName('../..')).toBe('dashboard.json');
  });
});
