import { expect, it } from 'vitest';
import { differencesOf } from './versions';

it('a difference is said in the words of the page', () => {
  const list = [
    { Path: 'body.Expansion', Before: 'grep a', After: 'grep b' },
    { Path: 'gids[0]', After: 3 },
    { Path: 'global', Before: false, After: true },
  ];
  expect(differencesOf(list)).toEqual([
    { what: 'Expansion', before: 'grep a', after: 'grep b' },
    { what: 'groups that may use it', before: '', after: '3' },
    { what: 'everybody may use it', before: 'false', after: 'true' },
  ]);
});

it('what is very long is cut', () => {
  const [one] = differencesOf([{ Path: 'name', Before: 'x'.repeat(5000) }]);
  expect(one?.before.length).toBeLessThan(500);
});
