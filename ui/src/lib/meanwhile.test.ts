import { expect, it } from 'vitest';
import { meanwhileOf } from './meanwhile';

const key = (item: { id: number }) => item.id;
const stamp = (item: { at: string }) => item.at;

it('says that somebody else has changed or deleted what is open', () => {
  const open = { id: 1, at: 'a' };
  expect(meanwhileOf(open, [{ id: 1, at: 'a' }], key, stamp)).toBe('');
  expect(meanwhileOf(open, [{ id: 1, at: 'b' }], key, stamp)).toContain('changed');
  expect(meanwhileOf(open, [{ id: 2, at: 'a' }], key, stamp)).toContain('deleted');
});

it('says nothing of what is new or not known yet', () => {
  expect(meanwhileOf(null, [{ id: 1, at: 'a' }], key, stamp)).toBe('');
  expect(meanwhileOf({ id: 1, at: 'a' }, [], key, stamp)).toBe('');
});
