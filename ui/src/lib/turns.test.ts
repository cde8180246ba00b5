import { expect, it } from 'vitest';
import { Turns } from './turns';

it('is no news what has been overtaken', () => {
  const turns = new Turns();
  const first = turns.next();
  const second = turns.next();
  expect(second()).toBe(true);
  expect(first()).toBe(false);
  expect(turns.next()()).toBe(true);
});

it('is no news what was asked before a change of our own', () => {
  const turns = new Turns();
  const before = turns.next();
  turns.pass();
  expect(before()).toBe(false);
  expect(turns.next()()).toBe(true);
});
