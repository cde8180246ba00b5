import { describe, expect, it } from 'vitest';
import { filtered, labelsOf, sortedBy } from './dashboard-list';
import type { Dashboard } from './types';

const one = (ID: number, Name: string, Labels: string[] | null, day: string) =>
  ({
    ID,
    ThingUUID: `u${ID}`,
    Name,
    Description: '',
    Labels,
    Created: `2026-01-${day}T00:00:00Z`,
    Updated: `2026-02-${day}T00:00:00Z`,
  }) as Dashboard;
const all = [
  one(1, 'Web', ['net'], '01'),
  one(2, 'Auth <b>', null, '03'),
  one(3, 'shop', ['net', 'b'], '02'),
];
const ids = (list: Dashboard[]) => list.map((each) => each.ID);

describe('the list of dashboards', () => {
  it('finds by every word, and by label', () => {
    expect(ids(filtered(all, '', ''))).toEqual([1, 2, 3]);
    expect(ids(filtered(all, 'NET sho', ''))).toEqual([3]);
    expect(ids(filtered(all, '<B>', ''))).toEqual([2]);
    expect(ids(filtered(all, '', 'net'))).toEqual([1, 3]);
    expect(labelsOf(all)).toEqual(['b', 'net']);
  });

  it('sorts, favourites first', () => {
    expect(ids(sortedBy(all, 'name', []))).toEqual([2, 3, 1]);
    expect(ids(sortedBy(all, 'changed', []))).toEqual([2, 3, 1]);
    expect(ids(sortedBy(all, 'made', ['u1']))).toEqual([1, 2, 3]);
  });
});
