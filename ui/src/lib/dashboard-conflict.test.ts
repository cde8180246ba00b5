import { describe, expect, it } from 'vitest';
import { newTile, readBoard, withoutTile, withTile, type Draft } from './dashboard';
import { compare, merged, sameDraft, verdict } from './dashboard-conflict';
import { edited, editsOf, redone, undone } from './dashboard-edits';
import { newVariable } from './dashboard-variables';

function draftOf(titles: string[]): Draft {
  let board = readBoard({});
  for (const title of titles) {
    board = withTile(board, newTile(board, title, `tag=${title}`));
  }
  return { name: 'Board', description: '', labels: [], board };
}

function retitled(draft: Draft, id: number, title: string): Draft {
  const tile = draft.board.tiles.find((one) => one.id === id)!;
  return { ...draft, board: withTile(draft.board, { ...tile, title }) };
}

const base = draftOf(['a', 'b', 'c']);
const titles = (draft: Draft | null) => draft?.board.tiles.map((tile) => tile.title);

describe('a version that somebody else made', () => {
  it('is taken when nothing is unsaved, and a conflict otherwise', () => {
    expect(verdict('1', '1', true)).toBe('nothing');
    expect(verdict('1', '2', false)).toBe('take');
    expect(verdict('1', '2', true)).toBe('conflict');
  });

  it('is united with mine when both changed different parts', () => {
    const mine = retitled({ ...base, name: 'Mine' }, 1, 'A');
    let theirs = retitled({ ...base, description: 'theirs' }, 2, 'B');
    theirs = { ...theirs, board: { ...theirs.board, variables: [newVariable('v')] } };
    expect(compare(base, mine, theirs).some((part) => part.clash)).toBe(false);
    const both = merged(base, mine, theirs);
    expect(titles(both)).toEqual(['A', 'B', 'c']);
    expect(both).toMatchObject({ name: 'Mine', description: 'theirs' });
    expect(both?.board.variables).toHaveLength(1);
  });

  it('clashes where both changed the same part', () => {
    const [mine, theirs] = [retitled(base, 1, 'mine'), retitled(base, 1, 'theirs')];
    expect(merged(base, mine, theirs)).toBeNull();
    expect(compare(base, mine, theirs)).toMatchObject([
      { key: 'tile 1', mine: 'changed', theirs: 'changed', clash: true },
    ]);
    expect(compare(base, mine, mine)[0]?.clash).toBe(false);
  });

  it('keeps a tile that one changed and the other removed as a clash, and loses none', () => {
    const mine = retitled(base, 1, 'A');
    const theirs = { ...base, board: withoutTile(base.board, 1) };
    expect(compare(base, mine, theirs)[0]).toMatchObject({
      mine: 'changed',
      theirs: 'removed',
      theirsText: null,
      clash: true,
    });
    expect(titles(merged(base, theirs, base))).toEqual(['b', 'c']);
    expect(titles(merged(base, base, theirs))).toEqual(['b', 'c']);
  });

  it('keeps what both added, at places that do not overlap', () => {
    const mine = {
      ...base,
      board: withTile(base.board, { ...newTile(base.board, 'x', ''), id: 7 }),
    };
    const theirs = {
      ...base,
      board: withTile(base.board, { ...newTile(base.board, 'y', ''), id: 8 }),
    };
    const both = merged(base, mine, theirs);
    expect(titles(both)).toEqual(['a', 'b', 'c', 'y', 'x']);
    expect(new Set(both?.board.tiles.map(({ span }) => `${span.x} ${span.y}`)).size).toBe(5);
  });

  it('is the same whatever the order of its members', () => {
    const turned = JSON.parse(JSON.stringify(base)) as Draft;
    const board = Object.fromEntries(Object.entries(turned.board).reverse()) as never;
    expect(sameDraft(base, { ...turned, board })).toBe(true);
    expect(sameDraft(base, retitled(base, 1, 'A'))).toBe(false);
  });
});

describe('edits', () => {
  it('go back and forth step by step', () => {
    let edits = edited(edited(editsOf('a'), 'b'), 'c');
    edits = undone(edits);
    expect(edits.present).toBe('b');
    expect(redone(edits).present).toBe('c');
    expect(undone(undone(undone(edits))).present).toBe('a');
    expect(redone(edited(edits, 'd')).present).toBe('d');
  });

  it('of one topic are one step', () => {
    let edits = editsOf('');
    for (const text of ['t', 'ti', 'tit']) {
      edits = edited(edits, text, 'title');
    }
    expect(undone(edits).present).toBe('');
    expect(undone(edited(edits, 'other', 'query')).present).toBe('tit');
  });
});
