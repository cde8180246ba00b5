/*
 * Lines of well-known forms that no module of the language names the parts of. Each part is an
 * expression with one named group: the page takes the value out with the very expression that a
 * click puts into the query.
 */
export interface Part {
  name: string;
  value: string;
  /** As the module `regex` takes it. */
  expression: string;
}

interface Form {
  looks: RegExp;
  /** Other fields may stand in such a line, too. */
  open: boolean;
  parts: { name: string; expression: string; pattern: RegExp }[];
}

function form(looks: RegExp, open: boolean, ...expressions: string[]): Form {
  const parts = expressions.map((expression) => ({
    name: /\(\?P<(\w+)>/.exec(expression)?.[1] ?? '',
    expression,
    pattern: new RegExp(expression.replace('(?P<', '(?<'), 'u'),
  }));
  return { looks, open, parts };
}

const FORMS: Form[] = [
  /* the access log of Apache, nginx and others, common or combined */
  form(
    /^\S+ \S+ \S+ \[[^\]]+\] "[A-Z]+ [^"]*" \d{3} /,
    false,
    '^(?P<client>\\S+) ',
    '^\\S+ \\S+ (?P<user>[^\\s-]\\S*) ',
    '\\] "(?P<method>[A-Z]+) ',
    '\\] "\\S+ (?P<path>[^ ?"]+)',
    '" (?P<status>\\d{3}) ',
    '" \\d{3} (?P<bytes>\\d+)',
    '" \\d{3} \\S+ "(?P<referer>[^"]+)"',
    '" \\d{3} \\S+ "[^"]*" "(?P<agent>[^"]+)"',
  ),
  /* syslog of old: the module `syslog` is for RFC 5424 */
  form(
    /^(?:<\d{1,3}>)?[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ [^\s:[]+(?:\[\d+\])?: /,
    true,
    '^\\S+ +\\d+ \\S+ (?P<host>\\S+) ',
    '^\\S+ +\\d+ \\S+ \\S+ (?P<app>[^\\s:\\[]+)',
    '^\\S+ +\\d+ \\S+ \\S+ [^\\s:\\[]+\\[(?P<pid>\\d+)\\]',
  ),
  /* a time, then how serious it is, as most logging libraries write it */
  form(
    /^\[?\d{4}-\d\d-\d\d[T ][\d:.,]+\S*\s+\[?(?:TRACE|DEBUG|INFO|NOTICE|WARN|ERROR|FATAL|CRIT)/,
    true,
    '^\\S+(?: [\\d:]\\S+)?\\s+\\[?(?P<level>[A-Z]+)',
  ),
];

/** The parts of a line, and whether there may be others; null: no such line. */
export function partsOf(line: string): { parts: Part[]; open: boolean } | null {
  const found = FORMS.find(({ looks }) => looks.test(line));
  if (!found) {
    return null;
  }
  const parts = found.parts.flatMap(({ name, expression, pattern }) => {
    const value = pattern.exec(line)?.groups?.[name];
    return value === undefined ? [] : [{ name, value, expression }];
  });
  return { parts, open: found.open };
}

const CELLS_MAX = 60;
const CELL_CHARACTERS_MAX = 64;

/** The columns of a line that is a time or a number and further short cells; null: it is none. */
export function cellsOf(line: string): string[] | null {
  if (!/^\d[\d:.T /+Z-]*,/.test(line)) {
    return null;
  }
  const cells = line.split(',');
  const plain = cells.every(
    (cell, i) => cell.length <= CELL_CHARACTERS_MAX && (i === 0 || /^[^\s"]*$/.test(cell)),
  );
  return plain && cells.length <= CELLS_MAX ? cells : null;
}
