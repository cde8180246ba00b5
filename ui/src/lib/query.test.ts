import { describe, expect, it } from 'vitest';
import {
  indexOfByte,
  pathOf,
  pieces,
  topValuesOf,
  valuesOverTime,
  withField,
  withGrep,
  withTag,
} from './query';

const QUERIES = [
  '',
  'tag=web',
  'tag=a,b-* start=-1h grep -v -i "two words" | limit 10',
  'tag=x grep `raw \\ string` /* a comment */ | text // the end',
  'tag=x grep "not closed',
  'tag=x grep `nor this',
  '/* nor this',
  '| | ||',
  'tag=ü grep 😀\n\t| raw',
  '!=~<>{}[]()@;,',
  'http://example.net/x?y=z',
];

function kinds(query: string): string[] {
  return pieces(query)
    .filter((p) => p.kind !== 'space')
    .map((p) => `${p.kind}:${p.text}`);
}

describe('the coloured copy', () => {
  it('is the text itself, whatever was typed', () => {
    for (const query of QUERIES) {
      expect(
        pieces(query)
          .map((p) => p.text)
          .join(''),
      ).toBe(query);
    }
  });

  it('knows constraints, modules, flags and strings', () => {
    expect(kinds('tag=a,b grep -i "x y" | limit 10')).toEqual([
      'key:tag',
      'operator:=',
      'word:a',
      'operator:,',
      'word:b',
      'module:grep',
      'flag:-i',
      'string:"x y"',
      'pipe:|',
      'module:limit',
      'word:10',
    ]);
  });

  it('is not misled by a pipe inside a string or a comment', () => {
    expect(kinds('tag=x grep "a|b" /* | */')).toEqual([
      'key:tag',
      'operator:=',
      'word:x',
      'module:grep',
      'string:"a|b"',
      'comment:/* | */',
    ]);
  });
});

describe('an error', () => {
  it('marks the piece it points into', () => {
    const marked = (from: number, to: number) =>
      pieces('tag=x gerp y z', { from, to })
        .filter((p) => p.wrong)
        .map((p) => p.text);
    expect(marked(6, 6)).toEqual(['gerp']);
    expect(marked(6, 10)).toEqual(['gerp']);
    expect(marked(6, 12)).toEqual(['gerp', 'y']);
  });

  it('marks something even at the end or in white space', () => {
    for (const [query, at] of [
      ['tag=x grep', 10],
      ['tag=x  | ', 8],
      ['', 0],
      ['tag=x', 99],
    ] as const) {
      expect(
        pieces(query, { from: at, to: at }).filter((p) => p.wrong),
        `${query}@${at}`,
      ).toHaveLength(1);
    }
  });

  it('is found by bytes, as the server counts', () => {
    const query = 'tag=ü grep "😀" | gerp';
    const bytes = new TextEncoder().encode(query.slice(0, query.indexOf('gerp'))).length;
    expect(indexOfByte(query, bytes)).toBe(query.indexOf('gerp'));
    expect(indexOfByte(query, 0)).toBe(0);
    expect(indexOfByte(query, 9999)).toBe(query.length);
  });
});

describe('filters by a click', () => {
  it('replace the tags, and only them', () => {
    expect(withTag('tag=a,b grep x | limit 3', 'web')).toBe('tag=web grep x | limit 3');
    expect(withTag('tag=* start=-1h', 'web')).toBe('tag=web start=-1h');
    expect(withTag('grep x', 'web')).toBe('tag=web grep x');
  });

  it('add a grep before limit and renderer', () => {
    expect(withGrep('tag=web', 'error', false)).toBe('tag=web grep error');
    expect(withGrep('tag=web grep a', 'b', true)).toBe('tag=web grep a | grep -v b');
    expect(withGrep('tag=web grep a | limit 5 | text', 'b', false)).toBe(
      'tag=web grep a | grep b | limit 5 | text',
    );
    expect(withGrep('tag=web | raw', 'b', false)).toBe('tag=web grep b | raw');
  });

  it('quote what the language would read as its own', () => {
    expect(withGrep('tag=web', 'a "b" | c', false)).toBe('tag=web grep "a \\"b\\" | c"');
    expect(withGrep('tag=web', '-v', false)).toBe('tag=web grep "-v"');
    expect(withGrep('tag=web', 'C:\\x', false)).toBe('tag=web grep "C:\\\\x"');
  });

  it('keep or drop entries by a field, whether it was taken out before or not', () => {
    expect(withField('tag=web', 'json', 'req.status', '500', false)).toBe(
      'tag=web json req.status=="500"',
    );
    expect(withField('tag=web grep x | limit 9', 'kv', 'level', 'warn', true)).toBe(
      'tag=web grep x | kv -q level!="warn" | limit 9',
    );
    expect(withField('tag=web json a | table a', 'value', 'a', 'x "y"', false)).toBe(
      'tag=web json a | eval a == "x \\"y\\"" | table a',
    );
    expect(withField('tag=web json a', 'value', 'odd name', 'x', true)).toBe(
      'tag=web json a | eval !($(odd name) == "x")',
    );
    expect(withField('tag=web', 'json', pathOf(['a b', '<c>']), 'x\ny', false)).toBe(
      'tag=web json "a b"."<c>"=="x\\ny"',
    );
  });

  it('count the values of a field, at once or over time', () => {
    expect(topValuesOf('tag=web grep x | text', 'json', 'req.status')).toBe(
      'tag=web grep x | json req.status as status | count by status | sort by count desc | table status count',
    );
    expect(topValuesOf('tag=web json a | table a', 'value', 'a')).toBe(
      'tag=web json a | count by a | sort by count desc | table a count',
    );
    expect(valuesOverTime('tag=web', 'kv', 'level')).toBe(
      'tag=web kv -q level | stats count by level | chart count by level',
    );
  });
});
