import { expect, it } from 'vitest';
import { byCategory, chosenOf, rightsCall } from './rights';

const all = [
  { Cap: 0, Name: 'Search', Desc: 'Run searches', Category: 'Search' },
  { Cap: 10, Name: 'DashboardRead', Desc: 'Read dashboards', Category: 'Dashboards' },
  { Cap: 1, Name: 'Download', Desc: 'Download results', Category: 'Search' },
];

it('capabilities are grouped in the order in which they come', () => {
  expect(byCategory(all).map((one) => [one.category, one.list.length])).toEqual([
    ['Search', 2],
    ['Dashboards', 1],
  ]);
});

it('a template chooses by number, what is unknown is left out', () => {
  expect(chosenOf({ Name: '', Desc: '', Caps: [0, 10, 99] }, all)).toEqual([
    'Search',
    'DashboardRead',
  ]);
});

it('only a change is sent, and no limit is null', () => {
  const everything = { limited: false, chosen: ['Search'] };
  const some = { limited: true, chosen: ['Search', 'Download'] };
  expect(rightsCall('/p', everything, { limited: false, chosen: [] })).toBeNull();
  expect(rightsCall('/p', some, { limited: true, chosen: ['Download', 'Search'] })).toBeNull();
  expect(rightsCall('/p', everything, some)?.json).toEqual({ Grants: ['Search', 'Download'] });
  expect(rightsCall('/p', some, everything)).toEqual({
    method: 'PUT',
    path: '/p/capabilities',
    json: { Grants: null },
  });
});
