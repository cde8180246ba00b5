import { describe, expect, it } from 'vitest';
import { csvRows, previewOf } from './resource';

const bytes = (text: string) => new TextEncoder().encode(text);

describe('CSV', () => {
  it('has quotes, commas and line ends inside of quotes', () => {
    expect(csvRows('a,"b ""c"", d"\r\n"x\ny",\n', 9)).toEqual([
      ['a', 'b "c", d'],
      ['x\ny', ''],
    ]);
  });

  it('ends where it ends, with and without a last line end', () => {
    expect(csvRows('a,b\nc,d', 9)).toEqual(csvRows('a,b\nc,d\n', 9));
    expect(csvRows('a\nb\nc', 2)).toEqual([['a'], ['b']]);
  });
});

describe('a preview', () => {
  it('is a table of CSV, the first line its head', () => {
    expect(previewOf(bytes('user,mail\nann,a@b\n'), true)).toEqual({
      kind: 'table',
      columns: ['user', 'mail'],
      rows: [['ann', 'a@b']],
      more: false,
    });
  });

  it('leaves out the line that the bytes cut in two', () => {
    expect(previewOf(bytes('a,b\n1,2\n3,4\n5'), false)).toMatchObject({
      rows: [
        ['1', '2'],
        ['3', '4'],
      ],
      more: true,
    });
  });

  it('is a table of JSON, of objects that differ', () => {
    expect(previewOf(bytes('[{"a":1},{"b":{"c":[2]}}]'), true)).toMatchObject({
      columns: ['a', 'b'],
      rows: [
        ['1', ''],
        ['', '{"c":[2]}'],
      ],
    });
    expect(previewOf(bytes('{"k":"<b>"}'), true)).toMatchObject({ rows: [['k', '<b>']] });
  });

  it('is text for what is neither, and nothing for bytes', () => {
    expect(previewOf(bytes('{"a": tru'), true).kind).toBe('text');
    expect(previewOf(bytes('one\ntwo\n'), true).kind).toBe('text');
    expect(previewOf(new Uint8Array([1, 0, 2]), true).kind).toBe('binary');
    expect(previewOf(new Uint8Array(), true).kind).toBe('empty');
  });
});
