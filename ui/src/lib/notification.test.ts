import { expect, it } from 'vitest';
import { isHidden, keyOf, notificationsOf } from './notification';

const one = (Sent: string, more = {}) => ({
  UID: 0,
  Type: 1,
  Broadcast: true,
  Sent,
  Msg: 'm',
  ...more,
});

it('the latest comes first, what was dismissed not at all', () => {
  const wire = { '1': one('2026-01-01T00:00:00Z'), '2': one('2026-01-02T00:00:00Z') };
  expect(notificationsOf(wire, []).map((of) => of.id)).toEqual(['2', '1']);
  expect(notificationsOf(wire, [keyOf('2', wire['2'])]).map((of) => of.id)).toEqual(['1']);
  expect(notificationsOf(null, [])).toEqual([]);
});

it('a warning looks like one', () => {
  const wire = { '1': one('t', { Level: 'critical' }), '2': one('t', { Level: 'info' }) };
  expect(notificationsOf(wire, []).map((of) => of.bad)).toEqual([true, false]);
});

it("one's own is deleted, everybody's is hidden", () => {
  expect(isHidden(one('t'), 7)).toBe(true);
  expect(isHidden(one('t', { Broadcast: false, UID: 7 }), 7)).toBe(false);
});
