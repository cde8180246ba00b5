import { describe, expect, it } from 'vitest';
import { cellsOf, partsOf } from './forms';

const found = (line: string) =>
  Object.fromEntries((partsOf(line)?.parts ?? []).map(({ name, value }) => [name, value]));

describe('lines of well-known forms', () => {
  it('are those of access logs, common and combined', () => {
    const common = '10.0.0.1 - bob [21/Nov/2026:18:42:37 +0000] "GET /a?b=c HTTP/1.1" 200 14';
    expect(found(common)).toEqual({
      client: '10.0.0.1',
      user: 'bob',
      method: 'GET',
      path: '/a',
      status: '200',
      bytes: '14',
    });
    const combined = `${common.replace('bob', '-').replace(' 14', ' -')} "http://x/" "Mozilla (x; y)"`;
    expect(found(combined)).toEqual({
      client: '10.0.0.1',
      method: 'GET',
      path: '/a',
      status: '200',
      referer: 'http://x/',
      agent: 'Mozilla (x; y)',
    });
    expect(partsOf(common)?.open).toBe(false);
  });

  it('are those of syslog of old', () => {
    expect(found('<38>Apr  2 14:14:29 ip-10 systemd-logind[1118]: New session')).toEqual({
      host: 'ip-10',
      app: 'systemd-logind',
      pid: '1118',
    });
    expect(found('Mar 27 13:06:56 host kernel: x=1')).toEqual({ host: 'host', app: 'kernel' });
  });

  it('are those that say how serious they are', () => {
    expect(found('[2016-12-19 20:44:59,210] TRACE Controller 0')).toEqual({ level: 'TRACE' });
    expect(found('2026-11-21T18:42:37.1Z [WARN] x')).toEqual({ level: 'WARN' });
    expect(found('2026-11-21 18:42:37 ERROR x')).toEqual({ level: 'ERROR' });
  });

  it('are no others', () => {
    for (const line of ['', 'hello world', 'GET / 200', '{"a":1}', '2026-11-21 nothing']) {
      expect(partsOf(line)).toBeNull();
    }
  });

  it('put into a query are expressions without a back quote', () => {
    for (const line of ['1 - - [x] "GET / H" 200 1 "r" "a"', 'Mar 27 13:06:56 h a[1]: b']) {
      expect(partsOf(line)?.parts.some(({ expression }) => expression.includes('`'))).toBe(false);
    }
  });
});

describe('columns', () => {
  it('are a time or a number and short cells', () => {
    expect(cellsOf('2014-07-01 00:00:00,10844')).toEqual(['2014-07-01 00:00:00', '10844']);
    expect(cellsOf('1,,x')).toEqual(['1', '', 'x']);
    expect(cellsOf('2016-12-19 20:44:59,210 TRACE a')).toBeNull();
    expect(cellsOf('a,b')).toBeNull();
    expect(cellsOf(`1,${'x'.repeat(100)}`)).toBeNull();
  });
});
