import { expect, it } from 'vitest';
import { curlCommand, firstCommands, shellWord } from './first';

it('the first command needs nothing but itself', () => {
  expect(firstCommands('192.0.2.1:4023')[0]).toBe(
    'echo "hello from $(uname -n)" | aquifer ingest --indexer 192.0.2.1:4023 --tag first -',
  );
});

it('what is not a plain word is quoted for the shell', () => {
  expect(shellWord('[::1]:4023')).toBe('[::1]:4023');
  expect(shellWord("a'b; rm")).toBe("'a'\\''b; rm'");
  expect(firstCommands('$(reboot):1')[0]).toContain("'$(reboot):1'");
});

it('a command for curl has the address of the page and the token', () => {
  const command = curlCommand('http://192.0.2.1:8080', 'aq_1');
  expect(command).toContain("-H 'Gravwell-Token: aq_1'");
  expect(command).toMatch(/ http:\/\/192\.0\.2\.1:8080\/api\/ingest\/lines$/);
});
