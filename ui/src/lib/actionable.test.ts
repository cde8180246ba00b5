import { describe, expect, it } from 'vitest';
import { actionsFor, patternOf, safeUrl, templateFor, type Actionable } from './actionable';

function one(contents: Actionable['Contents'], more: Partial<Actionable> = {}): Actionable {
  return { ThingUUID: 'u', Name: 'ip menu', Disabled: false, Contents: contents, ...more };
}

const address = { pattern: '\\b\\d+\\.\\d+\\.\\d+\\.\\d+\\b' };
const find = {
  name: 'Find',
  command: { type: 'query' as const, reference: 'tag=* grep _VALUE_' },
};

describe('actionables', () => {
  it('an action is offered once for each value that matches', () => {
    const all = [one({ triggers: [address], actions: [find] })];
    const actions = actionsFor(all, '192.0.2.1 -> 192.0.2.2, again 192.0.2.1');
    expect(actions.map((action) => action.value)).toEqual(['192.0.2.1', '192.0.2.2']);
    expect(actions[0]?.run).toEqual({ kind: 'query', query: 'tag=* grep 192.0.2.1' });
    expect(actionsFor(all, 'nothing here')).toEqual([]);
  });

  it('a value cannot leave its place in the query', () => {
    const all = [one({ triggers: [{ pattern: '.+' }], actions: [find] })];
    expect(actionsFor(all, 'a" | drop')[0]?.run).toEqual({
      kind: 'query',
      query: 'tag=* grep "a\\" | drop"',
    });
  });

  it('an address leads to a page and never runs anything', () => {
    const url = (reference: string) => ({
      name: 'x',
      command: { type: 'url' as const, reference },
    });
    const actions = actionsFor(
      [
        one({
          triggers: [{ pattern: '.+' }],
          actions: [url('https://example.net/?q=_VALUE_'), url('javascript:alert(1)')],
        }),
      ],
      'a&b=<c>',
    );
    expect(actions.map((action) => action.run)).toEqual([
      { kind: 'url', url: 'https://example.net/?q=a%26b%3D%3Cc%3E' },
    ]);
    expect(safeUrl('data:text/html,x')).toBeNull();
  });

  it('what is disabled or has a pattern that is none offers nothing', () => {
    const off = one({ triggers: [address], actions: [find] }, { Disabled: true });
    const broken = one({ triggers: [{ pattern: '(' }], actions: [find] });
    expect(actionsFor([off, broken], '192.0.2.1 (')).toEqual([]);
    expect(patternOf('/AB/i')?.test('ab')).toBe(true);
  });

  it('a template gets the value in its first blank', () => {
    const contents = {
      query: 'tag=web grep %%IP%% limit %%N%%',
      variables: [{ name: '%%IP%%' }, { name: '%%N%%', defaultValue: '10' }],
    };
    expect(templateFor(contents, '192.0.2.1')).toBe('tag=web grep 192.0.2.1 limit 10');
  });
});
