import { describe, expect, it } from 'vitest';
import { globOf } from './glob';

describe('a glob of tags', () => {
  it('matches as the server does', () => {
    const matches = (glob: string, tag: string) => globOf(glob).test(tag);
    expect(matches('web-*', 'web-1')).toBe(true);
    expect(matches('web-*', 'my-web-1')).toBe(false);
    expect(matches('w?b', 'web')).toBe(true);
    expect(matches('{web,app}-[0-9]', 'app-3')).toBe(true);
    expect(matches('a.b', 'axb')).toBe(false);
    expect(matches('', 'x')).toBe(false);
  });

  it('that is none matches nothing', () => {
    expect(globOf('[').test('[')).toBe(false);
  });
});
