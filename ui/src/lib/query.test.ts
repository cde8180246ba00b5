import { describe, expect, it } from 'vitest';
import { indexOfByte, pieces, suggest, withGrep, withTag } from './query';

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

describe('suggestions', () => {
  const tags = ['syslog', 'web', 'web-errors', 'gravwell'];
  const texts = (query: string, caret = query.length) =>
    suggest(query, caret, tags)?.items.map((i) => i.text) ?? null;

  it('offer tags behind tag= and behind its commas', () => {
    expect(texts('tag=')).toEqual(['gravwell', 'syslog', 'web', 'web-errors']);
    expect(texts('tag=we')).toEqual(['web', 'web-errors', 'gravwell']);
    expect(texts('tag=web,sys')).toEqual(['syslog']);
    expect(texts('tag=LOG')).toEqual(['syslog']);
  });

  it('do not offer a tag twice, nor what is typed already', () => {
    expect(texts('tag=web,')).not.toContain('web');
    expect(texts('tag=syslog')).toBeNull();
  });

  it('offer modules behind a pipe, and nothing inside arguments', () => {
    expect(texts('tag=web | li')).toEqual(['limit']);
    expect(texts('tag=web | sta')).toEqual(['stackgraph', 'stats']);
    expect(texts('tag=web grep fo')).toBeNull();
  });

  it('offer in later stages what earlier ones have named', () => {
    expect(texts('tag=web json status ms host | stats mean(m')).toEqual(['ms']);
    expect(texts('tag=web json status ms host | table h')).toEqual(['host']);
    expect(texts('tag=web json status | table status')).toBeNull();
    expect(texts('tag=web json status s')).toBeNull();
  });

  it('offer macros behind a dollar', () => {
    const macros = [
      { text: '$ERRORS', hint: 'grep error' },
      { text: '$WEB', hint: 'tag=web' },
    ];
    expect(suggest('tag=web | $er', 13, tags, macros)).toEqual({ from: 10, items: [macros[0]] });
    expect(suggest('tag=web | $er', 13, tags)).toBeNull();
  });

  it('look only at what is before the caret', () => {
    expect(suggest('tag=we | limit 5', 6, tags)?.from).toBe(4);
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
});
