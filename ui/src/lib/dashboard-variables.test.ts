import { describe, expect, it } from 'vitest';
import {
  mentionedIn,
  newVariable,
  readVariables,
  substitute,
  titleWith,
  valuesOf,
  type Variable,
} from './dashboard-variables';

const host: Variable = { ...newVariable('host'), label: 'Host' };
const put = (query: string, value: string, variable = host) =>
  substitute(query, [variable], { host: value }).query;

describe('variables of a dashboard', () => {
  it('stand in queries in three ways', () => {
    expect(put('tag=a grep %%host%% $host ${host}', 'web1')).toBe('tag=a grep web1 web1 web1');
  });

  it('leave macros and longer names alone', () => {
    expect(put('tag=a $HOST $hosts $1 50% %host%', 'x')).toBe('tag=a $HOST $hosts $1 50% %host%');
  });

  it('are one word to the query, whatever is in them', () => {
    expect(put('grep %%host%%', 'two words')).toBe('grep "two words"');
    expect(put('grep %%host%%', 'a | table b')).toBe('grep "a | table b"');
    expect(put('grep %%host%%', 'say "no"\\')).toBe('grep "say \\"no\\"\\\\"');
    expect(put('grep "x %%host%% y"', 'say "no"')).toBe('grep "x say \\"no\\" y"');
    expect(put('grep "\\" %%host%%"', 'a"b')).toBe('grep "\\" a\\"b"');
    expect(put('grep `%%host%%`', 'a`b')).toBe('grep `ab`');
    expect(put('grep %%host%%', '')).toBe('grep ""');
    expect(put('tag=%%host%%', 'web,shop-1')).toBe('tag=web,shop-1');
  });

  it('are put in as they are when they are meant to be', () => {
    expect(put('tag=a %%host%%', 'grep x | limit 3', { ...host, raw: true })).toBe(
      'tag=a grep x | limit 3',
    );
  });

  it('do not put values into values', () => {
    const both = [host, newVariable('b')];
    expect(substitute('$host', both, { host: '$b', b: 'no' }).query).toBe('"$b"');
  });

  it('say what is wanting and what nobody declared', () => {
    const required = { ...host, required: true };
    expect(substitute('grep $host %%user%%', [required], {})).toEqual({
      query: 'grep "" %%user%%',
      wanting: ['Host'],
      unknown: ['user'],
      several: [],
    });
    expect(substitute('grep x', [required], {}).wanting).toEqual([]);
    expect(mentionedIn(['%%a%% "%%b%%"', '%%a%% %%%'])).toEqual(['a', 'b']);
  });

  it('have the value that was chosen, the default, or the first choice', () => {
    const list = { ...newVariable('l'), kind: 'list' as const, options: ['one', 'two'] };
    const query = { ...newVariable('q'), kind: 'query' as const };
    const plain = { ...newVariable('p'), defaultValue: 'd' };
    expect(valuesOf([list, query, plain], {}, { q: ['found'] })).toEqual({
      l: 'one',
      q: 'found',
      p: 'd',
    });
    expect(valuesOf([plain], { p: '' })).toEqual({ p: '' });
  });

  it('are read from whatever is there, also from templates of other front ends', () => {
    const odd = [null, 5, {}, { name: 'a b' }, { name: '%%IP%%', defaultValue: 7, required: true }];
    expect(readVariables(odd)).toEqual([{ ...newVariable('IP'), required: true }]);
    expect(readVariables([{ name: 'a' }, { name: 'a', label: 'again' }])).toHaveLength(1);
    expect(readVariables({ name: 'a' })).toEqual([]);
    expect(readVariables([{ name: 'a', options: ['x', 3, 'x'] }])[0]).toMatchObject({
      kind: 'list',
      options: ['x'],
    });
  });

  describe('that have several values', () => {
    const hosts: Variable = { ...host, kind: 'list', multi: true, options: ['a', 'b c'] };
    const several = (query: string, value = 'web1\nweb 2') => put(query, value, hosts);

    it('are a list of tags, a list of arguments, words, or alternatives', () => {
      expect(several('tag=$host x')).toBe('tag=web1,"web 2" x');
      expect(several('tag="$host" x', 'a\nb')).toBe('tag="a,b" x');
      expect(several('eval in(h, $host)')).toBe('eval in(h, "web1", "web 2")');
      expect(several('eval in(h, $host)', 'web1')).toBe('eval in(h, "web1")');
      expect(several('grep $host', 'a\nb|c')).toBe('grep a "b|c"');
      expect(several('eval match(h, "^($host)$")', 'a.b\nc"')).toBe(
        'eval match(h, "^(a\\\\.b|c\\")$")',
      );
    });

    it('are never compared with one', () => {
      const wrong = (query: string, value: string) =>
        substitute(query, [hosts], { host: value }).several;
      expect(wrong('json h==$host', 'a\nb')).toEqual(['host']);
      expect(wrong('eval h == "$host"', 'a\nb')).toEqual(['host']);
      expect(wrong('json h==$host', 'a')).toEqual([]);
      expect(several('json h==$host', 'a')).toBe('json h==a');
    });

    it('are all of the choices as long as none is chosen', () => {
      expect(valuesOf([hosts], {})).toEqual({ host: 'a\nb c' });
      expect(valuesOf([hosts], { host: '' })).toEqual({ host: 'a\nb c' });
      expect(valuesOf([hosts], { host: 'a' })).toEqual({ host: 'a' });
      expect(valuesOf([{ ...hosts, kind: 'query' }], {}, { host: ['x', 'y'] })).toEqual({
        host: 'x\ny',
      });
      expect(readVariables([{ ...hosts }])[0]?.multi).toBe(true);
    });

    it('are named in titles', () => {
      expect(titleWith('Of %%host%%, $HOME, ${host}', [hosts], { host: 'a\nb' })).toBe(
        'Of a, b, $HOME, a, b',
      );
    });
  });
});
