import { describe, expect, it } from 'vitest';
import type { Entry } from './entry';
import { topValuesOf, withField } from './query';
import { fieldOf, fieldsOf, learn, survey, TOP_VALUES } from './fields';

function entry(text: string, enumerated: Entry['enumerated'] = []): Entry {
  return {
    ts: '2026-01-02T03:04:05Z',
    tag: 'web',
    source: '127.0.0.1',
    bytes: new TextEncoder().encode(text),
    line: text,
    enumerated,
  };
}

function named(text: string): [string, string][] {
  return fieldsOf(entry(text)).map(({ name, value }) => [name, value]);
}

describe('the fields of an entry', () => {
  it('are the members of JSON by their paths, as the language writes them', () => {
    const text = '{"a": 1, "b": {"c d": "x\\ny", "e": [true, null]}, "f.g": ""}';
    expect(named(text)).toEqual([
      ['a', '1'],
      ['b."c d"', 'x\ny'],
      ['b.e.[0]', 'true'],
      ['b.e.[1]', 'null'],
      ['"f.g"', ''],
    ]);
    expect(fieldOf(entry(text), 'b."c d"')?.raw).toBe('x\\ny');
  });

  it('are the header and the structured data of syslog', () => {
    const text = '<14>1 2026-01-02T03:04:05Z db1 app - login [gw@1 user="ad\\"min" uid="1"] hello';
    expect(named(text)).toEqual([
      ['Hostname', 'db1'],
      ['Appname', 'app'],
      ['MsgID', 'login'],
      ['Severity', '6'],
      ['Facility', '1'],
      ['user', 'ad"min'],
      ['uid', '1'],
    ]);
  });

  it('are pairs of key and value', () => {
    expect(named('level=warn msg="disk is full" took=3ms http://x?y=z')).toEqual([
      ['level', 'warn'],
      ['msg', 'disk is full'],
      ['took', '3ms'],
    ]);
  });

  it('are first what the query took out', () => {
    const fields = fieldsOf(entry('{"a": 1}', [{ name: 'a', value: 'one' }]));
    expect(fields).toEqual([{ name: 'a', source: 'value', value: 'one', raw: 'one' }]);
  });

  it('are none in what is broken or hostile, and never too many', () => {
    expect(named('{"a": ')).toEqual([]);
    expect(named('<script>alert(1)</script>')).toEqual([]);
    expect(named('{"__proto__": {"x": 1}}')).toEqual([['__proto__.x', '1']]);
    const wide = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`k${i}`, i]));
    expect(named(JSON.stringify(wide)).length).toBeLessThanOrEqual(200);
  });
});

describe('a survey of fields', () => {
  it('counts entries and values, the most frequent first', () => {
    const entries = [
      ...Array.from({ length: 6 }, (_, i) => entry(`{"status": ${i < 4 ? 200 : 500}, "id": ${i}}`)),
      entry('no fields'),
    ];
    const [first, second] = survey(entries);
    expect(first).toMatchObject({ name: 'id', count: 6, distinct: 6 });
    expect(second).toMatchObject({
      name: 'status',
      count: 6,
      distinct: 2,
      top: [
        { value: '200', count: 4 },
        { value: '500', count: 2 },
      ],
    });
    expect(
      survey(Array.from({ length: 50 }, (_, i) => entry(`{"id": ${i}}`)))[0]?.top,
    ).toHaveLength(TOP_VALUES);
  });
});

describe('fields of lines that are no JSON', () => {
  it('are the parts of well-known lines, with the stage that finds them', () => {
    const line = entry('1.2.3.4 - - [21/Nov/2026:18:42:37 +0000] "GET /a?O=b HTTP/1.1" 404 14');
    expect(fieldsOf(line).map(({ name }) => name)).toEqual([
      'client',
      'method',
      'path',
      'status',
      'bytes',
    ]);
    const status = fieldOf(line, 'status');
    expect(withField('tag=a', status?.source ?? 'value', 'status', '404', false)).toBe(
      'tag=a regex `" (?P<status>\\d{3}) ` status=="404"',
    );
    expect(topValuesOf('tag=a', status?.source ?? 'value', 'status')).toBe(
      'tag=a regex `" (?P<status>\\d{3}) ` | count by status | sort by count desc | table status count',
    );
  });

  it('are pairs beside the parts where there may be others', () => {
    expect(named('Mar 27 13:06:56 h a[7]: x=1')).toEqual([
      ['host', 'h'],
      ['app', 'a'],
      ['pid', '7'],
      ['x', '1'],
    ]);
  });

  it('are columns by their numbers', () => {
    const line = entry('2014-07-01 00:00:00,108');
    expect(fieldOf(line, '[1]')).toMatchObject({ source: 'csv', value: '108' });
    expect(withField('tag=a', 'csv', '[1]', '108', true)).toBe('tag=a csv [1]!="108"');
    expect(topValuesOf('tag=a', 'csv', '[1]')).toContain('csv [1] as value | count by value');
  });

  it('are what the extractor of the tag finds, before what is seen', () => {
    const line = entry('1,2,k=v');
    learn(line, [
      { Module: 'ax', Path: 'first', Value: '1' },
      { Module: 'json', Path: 'no', Value: 'x' },
    ]);
    expect(fieldsOf(line).map(({ name, source }) => [name, source])).toEqual([['first', 'ax']]);
    const plain = entry('x y=1');
    learn(plain, []);
    expect(fieldsOf(plain).map(({ name }) => name)).toEqual(['y']);
    expect(withField('tag=a', 'ax', 'first', '1', false)).toBe('tag=a ax first=="1"');
    expect(survey([line, plain])[0]?.name).toBe('first');
  });
});
