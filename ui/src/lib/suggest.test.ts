import { describe, expect, it } from 'vitest';
import { suggest, type Known, type Suggestion } from './suggest';

const tags = ['syslog', 'web', 'web-errors', 'gravwell'];

function texts(query: string, known: Partial<Known> = {}, caret = query.length): string[] | null {
  return suggest(query, caret, { tags, ...known })?.items.map((item) => item.text) ?? null;
}

describe('suggestions', () => {
  it('are tags behind tag= and behind its commas', () => {
    expect(texts('tag=')).toEqual(['gravwell', 'syslog', 'web', 'web-errors']);
    expect(texts('tag=we')).toEqual(['web', 'web-errors', 'gravwell']);
    expect(texts('tag=web,sys')).toEqual(['syslog']);
    expect(texts('tag=LOG')).toEqual(['syslog']);
    expect(texts('@bad{ tag=sys')).toEqual(['syslog']);
  });

  it('name no tag twice, nor what is typed already', () => {
    expect(texts('tag=web,')).not.toContain('web');
    expect(texts('tag=syslog')).toBeNull();
  });

  it('are modules behind a pipe and behind the tags, those first that begin so', () => {
    expect(texts('tag=web | li')).toEqual(['limit', 'alias', 'hexlify', 'slice', 'split']);
    expect(texts('tag=web | sta')?.slice(0, 2)).toEqual(['stackgraph', 'stats']);
    expect(texts('tag=web gre')).toEqual(['grep']);
    expect(texts('tag=web s')).toContain('start=');
    expect(texts('tag=web | ')?.length).toBeGreaterThan(40);
  });

  it('are the flags of a module that are not given yet', () => {
    expect(texts('tag=web grep -')).toEqual(['-v', '-i', '-s', '-w', '-simple', '-e']);
    expect(texts('tag=web grep -i -')).not.toContain('-i');
    expect(texts('tag=web grep -si')).toEqual(['-simple']);
    expect(texts('tag=web limit -')).toBeNull();
  });

  it('keep quiet inside arguments, texts, comments and conditions', () => {
    expect(texts('tag=web grep fo')).toBeNull();
    expect(texts('tag=web grep "a | li')).toBeNull();
    expect(texts('tag=web // | li')).toBeNull();
    expect(texts('tag=web json a | eval (a | li')).toBeNull();
  });

  it('are in later stages what earlier ones have named', () => {
    expect(texts('tag=web json status ms host | stats mean(m')).toEqual(['ms']);
    expect(texts('tag=web json status ms host | table h')).toEqual(['host']);
    expect(texts('tag=web json status ms | stats count by ')).toEqual(['ms', 'status']);
    expect(texts('tag=web json status | table status')).toBeNull();
    expect(texts('tag=web json status s')).toBeNull();
  });

  it('are fields that results have shown', () => {
    const fields = ['status', 'req.path'];
    expect(texts('tag=web json st', { fields })).toEqual(['status']);
    expect(texts('tag=web json status | table re', { fields })).toEqual(['req.path']);
  });

  it('are macros behind a dollar', () => {
    const macros: Suggestion[] = [
      { kind: 'macro', text: '$ERRORS', hint: 'grep error' },
      { kind: 'macro', text: '$WEB', hint: 'tag=web' },
    ];
    expect(suggest('tag=web | $er', 13, { tags, macros })).toEqual({
      from: 10,
      items: [macros[0]],
    });
    expect(texts('tag=web | $', { macros })).toEqual(['$ERRORS', '$WEB']);
    expect(suggest('tag=web | $er', 13, { tags })).toBeNull();
  });

  it('are saved queries by a piece of their name, where a query begins', () => {
    const queries: Suggestion[] = [
      { kind: 'query', text: 'Slow requests', hint: '', insert: 'tag=web json ms' },
    ];
    expect(texts('slow', { queries })).toEqual(['Slow requests']);
    expect(texts('req', { queries })).toEqual(['Slow requests']);
    expect(texts('ta', { queries })).toEqual(['tag=']);
    expect(texts('tag=web slow', { queries })).toBeNull();
  });

  it('look only at what is before the caret', () => {
    expect(suggest('tag=we | limit 5', 6, { tags })?.from).toBe(4);
  });
});
