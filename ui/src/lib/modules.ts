/*
 * The modules and renderers of the language for who types a query: what they do, how they are
 * written, their flags. What the server accepts is the server's to say (docs/query-language.md).
 */

export interface ModuleHelp {
  name: string;
  /** A few words. */
  hint: string;
  /** What may follow the name. */
  usage: string;
  renderer: boolean;
  flags: { text: string; hint: string }[];
}

const FLAG_E = '-e value: looks at this value, not at the data';
const FLAG_S = '-s: drops entries that lack any of the values';
const COUNTING = '[value] [by key …] [over 10m]';

/** name: hint, usage, flags */
const MODULES_BY_NAME: Record<string, [string, string, ...string[]]> = {
  abs: ['the number without its sign', 'value [as out] …'],
  ax: ['fields by the extraction definitions of the tags', '[field [OP value] [as name] …]'],
  base64: [
    'encodes to base64, and back',
    '[value]',
    '-d: decodes',
    '-raw: without =',
    '-u: the alphabet of URLs',
    '-s: drops what cannot be decoded',
    '-t out: the name of the result',
  ],
  bottom: ['the entries with the smallest numbers', '[value …]', '-n 10: so many'],
  dump: [
    'the rows of a table as entries',
    '-r resource [column [as name] …]',
    '-r resource: the table',
    '-p: entries of the search, too',
    '-t column: the time of a row',
  ],
  hexlify: ['hexadecimal digits, and back', '[value [as out] …]', '-d: decodes'],
  ipexist: [
    'filters by a set of addresses',
    '-r resource value …',
    '-r resource: one address a line',
    '-or: any of the values is enough',
    '-v: keeps those that are not in it',
  ],
  iplookup: [
    'looks an address up among networks',
    '-r resource -e value [column [as name] …]',
    '-r resource: the table',
    '-e value: the address',
    '-cidr column: the networks',
    '-s: drops entries without a row',
    '-v: drops entries with a row',
  ],
  nosort: ['leaves entries as they come', ''],
  path: ['parts of the path of a file', 'base | dir | ext | volume [as name]', FLAG_E, FLAG_S],
  printf: [
    'writes values into a text',
    '"%s took %d ms" value …',
    '-e out: the name of the result',
  ],
  slice: ['bytes of a value, as numbers or text', 'uint16(value[0:2]) [OP value] [as name] …'],
  top: ['the entries with the largest numbers', '[value …]', '-n 10: so many'],
  trim: ['takes characters off both ends', 'value characters'],
  trimleft: ['takes characters off the beginning', 'value characters'],
  trimprefix: ['takes a text off the beginning', 'value text'],
  trimright: ['takes characters off the end', 'value characters'],
  trimspace: ['takes white space off both ends', '[value …]'],
  trimsuffix: ['takes a text off the end', 'value text'],
  unescape: ['decodes \\n, \\u00e9 and the like', '[value …]', '-url: decodes %20'],
  alias: ['copies values to other names', 'name new …'],
  cef: ['fields of CEF', 'field [OP value] [as name] …', FLAG_E, FLAG_S],
  concat: ['joins values', 'value … [as out]', '-s separator: between the values'],
  count: ['counts entries, by keys', '[by key …] [over 10m]'],
  csv: ['columns separated by commas', '[0] as name [1] as name …', FLAG_E, FLAG_S],
  enrich: [
    'sets values where there are none',
    'name value …',
    '-o: also where there is one',
    '-r resource: from the first row of a table',
  ],
  eval: ['computes, compares, filters', 'int(code) >= 400 && host != "db1"'],
  fields: [
    'columns by any delimiter',
    '[0] as name [1] as name …',
    '-d delimiter: between the fields',
    FLAG_E,
    FLAG_S,
    '-q: delimiters in quotes do not count',
    '-clean: without quotes and white space around',
  ],
  first: ['the earliest entry of each key', '[value …]'],
  grep: [
    'keeps entries that contain a pattern',
    'pattern … (* any run, ? one byte, […] a class)',
    '-v: keeps those that do not',
    '-i: letters in either case',
    '-s: all patterns, not any',
    '-w: whole words',
    '-simple: no wildcards',
    FLAG_E,
  ],
  intrinsic: ['values that arrived with the entry', 'name [OP value] [as name] …'],
  ip: [
    'makes values addresses, filters by network',
    'value [OP address] [as name] …',
    '-or: one filter is enough',
    '-categorize: private, public or multicast, as value_category',
  ],
  json: [
    'values of JSON, by their paths',
    'path.to.value [OP value] [as name] …',
    FLAG_E,
    FLAG_S,
    '-x name: an entry for each element of the array',
  ],
  keep: ['removes all other values', 'name …'],
  kv: [
    'pairs of key and value',
    'key [OP value] [as name] …',
    FLAG_E,
    '-sep s: between key and value',
    '-d chars: any of these between pairs',
    '-dall s: all of this between pairs',
    FLAG_S,
    '-q: delimiters in quotes do not count',
    '-noclean: keeps quotes and white space around',
  ],
  last: ['the latest entry of each key', '[value …]'],
  length: ['how many bytes', '[value]', '-t out: the name of the result'],
  limit: ['keeps the first entries', 'n | n m | n by key …'],
  lookup: [
    'looks values up in a resource',
    '-r resource value column extract',
    '-r resource: the table; @name that of an inner query',
    '-s: drops entries without a row',
    '-v: keeps only entries without a row',
  ],
  lower: ['small letters', '[value …]'],
  max: ['the greatest value, by keys', COUNTING],
  mean: ['the mean of a value, by keys', COUNTING],
  min: ['the least value, by keys', COUNTING],
  regex: [
    'named groups of an expression',
    '"(?P<name>\\S+) (?P<code>\\d+)" [name OP value …]',
    FLAG_E,
    '-v: keeps what does not match',
    '-p: passes also what does not match',
    '-a: all matches, not the first',
  ],
  require: [
    'keeps entries that have a value',
    'name …',
    '-s: all of them, not any',
    '-v: none of them',
  ],
  sort: ['puts entries in an order', 'by value [asc|desc]'],
  split: [
    'an entry for each piece',
    '[value]',
    '-d delimiter: between the pieces',
    '-clean: without white space around and empty ones',
  ],
  src: ['filters by where entries came from', '== 10.0.0.1 | ~ 10.0.0.0/8'],
  stats: [
    'several counts, sums, means at once',
    'count mean(ms) as ms [by key …] [over 10m]',
    '-maxtracked n: so many combinations of keys at most',
  ],
  stddev: ['the standard deviation, by keys', COUNTING],
  strings: ['runs of printable text', '[value]', '-n 4: so long at least'],
  subnet: ['the network of an address', 'value /24 [as name] …', '-4: of IPv4', '-6: of IPv6'],
  sum: ['adds a value up, by keys', COUNTING],
  syslog: ['fields of syslog', 'Hostname Appname Severity<4 [as name] …', FLAG_E, FLAG_S],
  time: [
    'reads a text as a time',
    'in out',
    '-iformat layout: how it is written',
    '-oformat layout: writes it as text',
    '-tz zone: where none is written',
  ],
  truncate: [
    'the first characters',
    'value n',
    '-ellipsis: … at the cut',
    '-binary: bytes, not characters',
  ],
  unique: [
    'the first entry of each combination',
    '[name …] [over 10m]',
    '-maxtracked n: so many combinations at most',
  ],
  unique_count: ['how many different values', COUNTING],
  upper: ['capital letters', '[value …]'],
  variance: ['the variance, by keys', COUNTING],
  words: [
    'keeps entries that hold words',
    'word …',
    '-or: any of them',
    '-v: keeps those that do not',
    FLAG_E,
  ],
  xml: ['elements of XML', 'A.B.C A.B[Attr] [OP value] [as name] …', FLAG_E, FLAG_S],
};

const RENDERERS_BY_NAME: Record<string, [string, string, ...string[]]> = {
  chart: ['draws values over time', '[name …] [by key …] [limit n]'],
  fdg: [
    'draws a graph of what is connected',
    'source destination',
    '-b: both directions are one',
    '-v value: the weight',
    '-sg group: the sources’ group',
    '-dg group: the destinations’ group',
  ],
  gauge: ['draws a dial', '(name min max "label") …'],
  heatmap: [
    'draws a map of how dense points are',
    '[name]',
    '-loc value: the place',
    '-lat value: the latitude',
    '-long value: the longitude',
  ],
  hex: ['shows entries in hexadecimal', ''],
  numbercard: ['shows single numbers', '(name "label") …'],
  pcap: ['shows captured packets in words', ''],
  point2point: [
    'draws arcs between places',
    '-srcloc value -dstloc value [name …]',
    '-srcloc value: the source',
    '-srclat value: its latitude',
    '-srclong value: its longitude',
    '-dstloc value: the destination',
    '-dstlat value: its latitude',
    '-dstlong value: its longitude',
    '-mag value: the weight',
  ],
  pointmap: [
    'draws points on a map',
    '[name …]',
    '-loc value: the place',
    '-lat value: the latitude',
    '-long value: the longitude',
  ],
  raw: ['shows entries as they came', ''],
  stackgraph: ['draws stacked bars', 'key component magnitude'],
  table: [
    'shows values as a table',
    '[name …]',
    '-nt: one row for each window of time',
    '-save name: keeps the rows as a resource',
  ],
  text: ['shows entries as text', ''],
  wordcloud: ['draws words by their weight', 'value [by key …]'],
};

function helpOf(
  [name, [hint, usage, ...flags]]: [string, [string, string, ...string[]]],
  renderer: boolean,
): ModuleHelp {
  return {
    name,
    hint,
    usage,
    renderer,
    flags: flags.map((flag) => {
      const [text = '', about = ''] = flag.split(': ');
      return { text, hint: about };
    }),
  };
}

export const MODULES: ModuleHelp[] = [
  ...Object.entries(MODULES_BY_NAME).map((entry) => helpOf(entry, false)),
  ...Object.entries(RENDERERS_BY_NAME).map((entry) => helpOf(entry, true)),
].sort((a, b) => (a.name < b.name ? -1 : 1));

const byName = new Map(MODULES.map((one) => [one.name, one]));

export function moduleHelp(name: string): ModuleHelp | undefined {
  return byName.get(name);
}

export function isRenderer(name: string): boolean {
  return byName.get(name)?.renderer ?? false;
}
