/* The commands that send a newcomer's first lines: to be copied, and to work as they are. */

const SAFE = /^[\w.:@%+=/[\]-]+$/;

/** One word of a shell's command line. */
export function shellWord(text: string): string {
  return SAFE.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** For machines that have the program; `target` is the host:port of an indexer. */
export function firstCommands(target: string): string[] {
  const ingest = `aquifer ingest --indexer ${shellWord(target)}`;
  return [
    `echo "hello from $(uname -n)" | ${ingest} --tag first -`,
    `journalctl -o short-iso | ${ingest} --tag journal -`,
    `${ingest} --tag syslog /var/log/syslog`,
  ];
}

/** For any machine: through the webserver at `origin`, with an API token. */
export function curlCommand(origin: string, token: string): string {
  const url = shellWord(`${origin}/api/ingest/lines`);
  return `echo "hello from $(uname -n)" | curl -fsS -H ${shellWord(`Gravwell-Token: ${token}`)} -F tag=first -F 'file=@-;filename=line-delimited-file' ${url}`;
}
