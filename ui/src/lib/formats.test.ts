import { describe, expect, it } from 'vitest';
import { downloadFormats } from './formats';

describe('the forms of a download', () => {
  it('are those that the server names, in words', () => {
    expect(downloadFormats(['csv', 'text']).map((one) => one.extension)).toEqual(['csv', 'txt']);
    expect(downloadFormats([])).toEqual([]);
  });

  it('include one that this page does not know, with a harmless name', () => {
    expect(downloadFormats(['parquet'])).toEqual([
      { format: 'parquet', label: 'parquet', extension: 'parquet' },
    ]);
    expect(downloadFormats(['../../x', 'constructor']).map((one) => one.extension)).toEqual([
      'bin',
      'constructor',
    ]);
  });
});
