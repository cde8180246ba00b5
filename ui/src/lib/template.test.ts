import { describe, expect, it } from 'vitest';
import { blanksOf, fillTemplate, quoted, variablesOf } from './template';

describe('templates', () => {
  it('finds each blank once', () => {
    expect(blanksOf('tag=web grep %%IP%% | grep %%IP%% %%User_name%%')).toEqual([
      '%%IP%%',
      '%%User_name%%',
    ]);
  });

  it('keeps what is known of a blank, and forgets blanks that are gone', () => {
    const known = [
      { name: '%%IP%%', label: 'Address', required: false },
      { name: '%%OLD%%', label: 'x' },
    ];
    const all = variablesOf('%%IP%% %%USER_NAME%%', known);
    expect(all.map((one) => [one.name, one.label, one.required])).toEqual([
      ['%%IP%%', 'Address', false],
      ['%%USER_NAME%%', 'User name', true],
    ]);
  });

  it('fills blanks with exactly what was typed', () => {
    expect(fillTemplate('grep %%A%% %%B%%', { '%%A%%': '$&' })).toBe('grep $& %%B%%');
  });

  it('a value with spaces or quotes stays one word of the query', () => {
    expect(quoted('192.0.2.7')).toBe('192.0.2.7');
    expect(quoted('two words')).toBe('"two words"');
    expect(quoted('a" | b')).toBe('"a\\" | b"');
    expect(quoted('')).toBe('""');
  });
});
